/* SPDX-License-Identifier: Apache-2.0 */
/* Version files whose bytes are wrong: headers, offsets, lengths. */
#include "reader_second.h"

/* The file of the second version, to be spoilt; then both checksums are made right again. */
struct image {
    union {
        struct shmconf_version_header header;
        unsigned char bytes[4096];
    };
    size_t size;    /* to be written */
    bool keeps_crc; /* the checksums stay as they were */
};

static void image_write(struct fixture *f, struct image *image)
{
    struct shmconf_version_header *header = &image->header;
    if (!image->keeps_crc && image->size >= sizeof *header) {
        header->body_crc =
            shmconf_crc32(0, image->bytes + sizeof *header, image->size - sizeof *header);
        header->header_crc =
            shmconf_crc32(0, header, offsetof(struct shmconf_version_header, header_crc));
    }
    file_write(f, SECOND, image->bytes, image->size);
}

static void no_magic(struct image *image)
{
    image->header.magic[0] ^= 1;
}

static void other_byte_order(struct image *image)
{
    image->header.endian = __builtin_bswap32(image->header.endian);
}

static void next_major(struct image *image)
{
    image->header.major++;
}

static void header_crc_wrong(struct image *image)
{
    image->keeps_crc = true;
    image->header.fetched_ns++;
}

static void total_above_the_file(struct image *image)
{
    image->header.total++;
}

static void total_below_the_file(struct image *image)
{
    image->header.total--;
}

static void other_instance(struct image *image)
{
    image->header.instance++;
}

static void other_generation(struct image *image)
{
    image->header.generation--;
}

static void payload_in_the_header(struct image *image)
{
    image->header.payload_offset = SHMCONF_VERSION_HEADER_SIZE - 1;
}

static void payload_at_0(struct image *image)
{
    image->header.payload_offset = 0;
}

static void payload_behind_the_end(struct image *image)
{
    image->header.payload_offset = (uint32_t)image->size;
    image->header.payload_size = 0;
}

static void payload_offset_huge(struct image *image)
{
    image->header.payload_offset = 0xffffffff;
}

static void payload_size_huge(struct image *image)
{
    image->header.payload_size = 0xffffffff;
}

static void payload_sum_wraps(struct image *image)
{
    image->header.payload_size = 0u - image->header.payload_offset;
}

static void payload_up_to_the_end(struct image *image)
{
    image->header.payload_size = (uint32_t)image->size - image->header.payload_offset;
}

static void payload_without_nul(struct image *image)
{
    image->bytes[image->header.payload_offset + image->header.payload_size] = 'x';
}

static void payload_size_short(struct image *image)
{
    image->header.payload_size--;
}

static void type_offset_huge(struct image *image)
{
    image->header.type_offset = 0xfffffff0;
}

static void type_size_huge(struct image *image)
{
    image->header.type_size = 0x7fffffff;
}

static void type_without_nul(struct image *image)
{
    image->bytes[image->header.type_offset + image->header.type_size] = 'x';
}

static void label_in_the_header(struct image *image)
{
    image->header.label_offset = 8;
}

static void label_behind_the_end(struct image *image)
{
    image->header.label_offset = (uint32_t)image->size;
}

static void label_without_nul(struct image *image)
{
    image->bytes[image->header.label_offset + image->header.label_size] = 'x';
}

static void random_bytes(struct image *image)
{
    image->keeps_crc = true;
    for (size_t i = 0; i < image->size; i++)
        image->bytes[i] = (unsigned char)((i * i * 2654435761u) >> 13);
}

static void cut_in_the_body(struct image *image)
{
    image->keeps_crc = true;
    image->size--;
}

static void cut_behind_the_header(struct image *image)
{
    image->keeps_crc = true;
    image->size = SHMCONF_VERSION_HEADER_SIZE;
}

static void cut_in_the_header(struct image *image)
{
    image->size = SHMCONF_VERSION_HEADER_SIZE - 1;
}

static void cut_to_nothing(struct image *image)
{
    image->size = 0;
}

static void one_byte_more(struct image *image)
{
    image->keeps_crc = true;
    image->size++;
}

static const struct {
    void (*spoil)(struct image *image);
    int error;
} images[] = {
    {no_magic, -EBADMSG},
    {other_byte_order, -ENOEXEC},
    {next_major, -EPROTONOSUPPORT},
    {header_crc_wrong, -EBADMSG},
    {total_above_the_file, -ENODATA},
    {total_below_the_file, -EBADMSG},
    {other_instance, -EBADMSG},
    {other_generation, -EBADMSG},
    {payload_in_the_header, -EBADMSG},
    {payload_at_0, -EBADMSG},
    {payload_behind_the_end, -EBADMSG},
    {payload_offset_huge, -EBADMSG},
    {payload_size_huge, -EBADMSG},
    {payload_sum_wraps, -EBADMSG},
    {payload_up_to_the_end, -EBADMSG},
    {payload_without_nul, -EBADMSG},
    {payload_size_short, -EBADMSG},
    {type_offset_huge, -EBADMSG},
    {type_size_huge, -EBADMSG},
    {type_without_nul, -EBADMSG},
    {label_in_the_header, -EBADMSG},
    {label_behind_the_end, -EBADMSG},
    {label_without_nul, -EBADMSG},
    {random_bytes, -EBADMSG},
    {cut_in_the_body, -ENODATA},
    {cut_behind_the_header, -ENODATA},
    {cut_in_the_header, -ENODATA},
    {cut_to_nothing, -ENODATA},
    {one_byte_more, -EBADMSG},
};

static void a_version_that_cannot_be_used(struct fixture *f, size_t which, unsigned flags)
{
    struct image image = {.keeps_crc = false};
    struct second second;
    second_start(&second, f, flags);
    image.size = file_read(f, SECOND, image.bytes, sizeof image.bytes);
    images[which].spoil(&image);
    take_away(f, SECOND);
    image_write(f, &image);
    second_meets(&second, images[which].error);
    put_back(f, SECOND);
    second_recovers_and_ends(&second);
}

static void a_version_that_cannot_be_used_is_refused(struct fixture *f)
{
    for (size_t i = 0; i < sizeof images / sizeof images[0]; i++) {
        a_version_that_cannot_be_used(f, i, i % 2 ? SHMCONF_PRIVATE : 0);
        fixture_remove_tree(f);
        fixture_restart(f);
    }
}

/* Any value in any field, with the right checksums: no wild read, and a NUL behind what is given.
 */
static void hostile_headers_do_no_harm(struct fixture *f)
{
    enum { TURNS = 2000 };
    struct region_entry *entry = fixture_entry(f, "A:B:C");
    struct image good = {.keeps_crc = false};
    uint32_t state = 11;
    unsigned taken = 0;
    fixture_publish(entry, "one", "type", "label");
    fixture_publish(entry, "two", "type", "label");
    good.size = file_read(f, SECOND, good.bytes, sizeof good.bytes);
    take_away(f, SECOND);
    for (int turn = 0; turn < TURNS; turn++) {
        struct image image = good;
        state = state * 1664525 + 1013904223;
        size_t word = (state >> 8) % (SHMCONF_VERSION_HEADER_SIZE / 4 - 1);
        uint32_t value = state & 1 ? (state >> 4) % 0x200 : state;
        memcpy(image.bytes + 4 * word, &value, sizeof value);
        image_write(f, &image);
        struct shmconf_reader reader;
        reader_open(&reader, turn % 2 ? SHMCONF_PRIVATE : 0);
        const struct shmconf_version *version = shmconf_enter(&reader);
        if (version) {
            taken++;
            CHECK(version->text.data[version->text.size] == '\0');
            CHECK(version->content_type.data[version->content_type.size] == '\0');
            CHECK(version->label.data[version->label.size] == '\0');
        }
        shmconf_leave(&reader);
        reader_close(&reader);
        CHECK_INT(0, unlink(in_root(f, SECOND).text));
    }
    CHECK(taken > 0 && taken < TURNS);
    region_entry_close(entry);
}

int main(void)
{
    fixture_run(a_version_that_cannot_be_used_is_refused);
    fixture_run(hostile_headers_do_no_harm);
    return 0;
}
