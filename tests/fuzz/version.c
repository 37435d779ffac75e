/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a version file, with the checksums put right so that the checks behind them are
 * reached. Every slice that the reader gives out must lie inside the file and end with a NUL.
 */
#include <shmconf.h>

#include "require.h"

static void check_slice(struct shmconf_slice slice, const char *file, size_t size)
{
    require(slice.data >= file && slice.size < size &&
            (size_t)(slice.data - file) < size - slice.size && !slice.data[slice.size]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct shmconf_version version;
    struct shmconf_version_header header;
    if (size < sizeof header)
        return 0;
    char *file = copy_bytes(data, size);
    memcpy(&header, file, sizeof header);
    memcpy(header.magic, SHMCONF_VERSION_MAGIC, sizeof header.magic);
    header.endian = SHMCONF_ENDIAN_TAG;
    header.major = SHMCONF_FORMAT_MAJOR;
    header.total = size;
    header.instance = 1;
    header.generation = 1;
    /* By its last byte: of an earlier boot or not, and spoilt behind the header or not. */
    unsigned flags = data[size - 1] & 1 ? SHMCONF_VERIFY : 0;
    uint32_t body_crc = shmconf_crc32(0, file + sizeof header, size - sizeof header);
    if (data[size - 1] & 2)
        header.body_crc = body_crc;
    header.header_crc =
        shmconf_crc32(0, &header, offsetof(struct shmconf_version_header, header_crc));
    memcpy(file, &header, sizeof header);
    memset(&version, 0, sizeof version);
    if (shmconf_version_parse(&version, file, size, 1, 1, flags) == 0) {
        require(!flags || header.body_crc == body_crc);
        check_slice(version.text, file, size);
        check_slice(version.content_type, file, size);
        check_slice(version.label, file, size);
    }
    free(file);
    return 0;
}
