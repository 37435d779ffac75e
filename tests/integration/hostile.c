/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Readers on spoilt files: whatever stands there, every function answers, nothing that it gives out
 * lies outside of the file, and a good file is read again afterwards.
 */
#include <errno.h>
#include <shmconf.h>

#include "hostile.h"
#include "region_fixture.h"

enum { DEFAULT_IMAGES = 20000 };

static uint64_t seed;
static unsigned long images;

/* Reads every byte, and the NUL behind them. */
static unsigned long sum(struct shmconf_slice slice)
{
    unsigned long total = 0;
    for (size_t i = 0; i < slice.size; i++)
        total += (unsigned char)slice.data[i];
    CHECK_INT(0, slice.data[slice.size]);
    return total;
}

static void check_inside(const struct shmconf_version *version, struct shmconf_slice slice)
{
    const void *copy = version->private_.self + 1;
    const char *file = version->private_.mapping ? version->private_.mapping : copy;
    CHECK(slice.data >= file && slice.data + slice.size < file + version->private_.size);
    sum(slice);
}

/* Who waits and enters in a loop: what is told as news, enter looks at, so that it is none any
 * more.
 */
static void wait_on(struct shmconf_reader *reader)
{
    unsigned turns = 0;
    for (reader->looked_ns = 0; shmconf_wait(reader, 0) == 0; reader->looked_ns = 0) {
        const struct shmconf_version *version = shmconf_enter(reader);
        if (version)
            check_inside(version, version->text);
        shmconf_leave(reader);
        version = shmconf_current(reader);
        if (version)
            check_inside(version, version->text);
        CHECK(++turns < 4);
    }
}

/* All that a handler can call. Returns whether there was a version. */
static bool read_all(unsigned flags)
{
    struct shmconf_reader reader;
    struct shmconf_health health;
    CHECK_INT(0, shmconf_open(&reader, "A:B:C", flags | SHMCONF_SILENT));
    const struct shmconf_version *version = shmconf_enter(&reader);
    if (version) {
        check_inside(version, version->text);
        check_inside(version, version->content_type);
        check_inside(version, version->label);
        shmconf_drop(shmconf_hold(version));
    } else {
        CHECK(shmconf_error(&reader) != 0);
    }
    bool is_there = version != NULL;
    shmconf_leave(&reader);
    shmconf_status(&reader, &health);
    wait_on(&reader); /* as 100 ms later: what could not be opened is tried again */
    shmconf_fresh(&reader, 0, 0);
    CHECK_INT(0, shmconf_close(&reader));
    return is_there;
}

/* One that stays: what it holds in a copy of its own is never touched. */
static void read_on(struct shmconf_reader *reader, const struct shmconf_version *held,
                    unsigned long sum_held)
{
    struct shmconf_health health;
    const struct shmconf_version *version = shmconf_enter(reader);
    if (version)
        check_inside(version, version->text);
    shmconf_leave(reader);
    wait_on(reader);
    shmconf_status(reader, &health);
    CHECK(sum(held->text) == sum_held);
}

/* The head of a daemon before the last reboot: readers of it check the texts as well. */
static struct hostile_image of_earlier_boot(struct hostile_image head)
{
    head.bytes[offsetof(struct shmconf_head, boot_id)] ^= 0xff;
    return head;
}

static void readers_survive(struct fixture *f)
{
    struct region_entry *entry = fixture_entry(f, "A:B:C");
    static const unsigned kinds[] = {0, SHMCONF_PRIVATE, 0, SHMCONF_PRIVATE};
    struct shmconf_reader reader;
    struct hostile_image good[2];
    struct hostile_image earlier;
    int fds[2];
    unsigned long whole = 0;
    uint64_t random = seed;
    fixture_publish(entry, "{\"limit\": 10, \"names\": [\"a\", \"b\"]}", "application/json",
                    "blue");
    const char *const files[] = {"head", "v00000001"};
    for (int i = 0; i < 2; i++) {
        char path[400];
        snprintf(path, sizeof path, "%s/A/B/C/%s", f->root, files[i]);
        hostile_take(path, &good[i]);
        CHECK_INT(0, chmod(path, 0600));
        fds[i] = open(path, O_RDWR | O_CLOEXEC);
        CHECK(fds[i] >= 0);
    }
    earlier = of_earlier_boot(good[0]);
    CHECK_INT(0, shmconf_open(&reader, "A:B:C", SHMCONF_PRIVATE));
    const struct shmconf_version *held = shmconf_hold(shmconf_enter(&reader));
    shmconf_leave(&reader);
    unsigned long sum_held = sum(held->text);
    for (unsigned long i = 0; i < images; i++) {
        size_t kind = i / 2 % (sizeof kinds / sizeof *kinds);
        const struct hostile_image *head = kind < 2 ? &good[0] : &earlier;
        struct hostile_image image = i % 2 ? good[1] : *head;
        hostile_spoil(&image, &random);
        hostile_put(fds[0], head);
        hostile_put(fds[i % 2], &image);
        bool is_there = read_all(kinds[kind]);
        CHECK(!is_there || i % 2 == 0 || head != &earlier || hostile_is_sealed(&image));
        whole += is_there;
        /* A mapping of a file that is cut under it is SIGBUS, which the header says. A head that
           stays mapped is only spoilt at its size. */
        if (i % 2 || image.size == good[0].size)
            read_on(&reader, held, sum_held);
        hostile_put(fds[i % 2], &good[i % 2]);
    }
    hostile_put(fds[0], &good[0]);
    CHECK(read_all(0));
    CHECK(read_all(SHMCONF_PRIVATE));
    printf("hostile: seed %llu: %lu images, %lu read as whole\n", (unsigned long long)seed, images,
           whole);
    /* Most images are to be refused; some change nothing that matters. */
    CHECK(images < 1000 || (whole > 0 && whole < images));
    shmconf_drop(held);
    CHECK_INT(0, shmconf_close(&reader));
    for (int i = 0; i < 2; i++)
        close(fds[i]);
    region_entry_close(entry);
}

int main(int count, char **arguments)
{
    images = count > 1 ? strtoul(arguments[1], NULL, 10) : DEFAULT_IMAGES;
    seed = count > 2 ? strtoull(arguments[2], NULL, 10) : (unsigned)getpid();
    if (images == 0 || count > 3) {
        fputs("Usage: hostile [IMAGES [SEED]]\n"
              "Readers on IMAGES spoilt files (20000).\n",
              stderr);
        return 2;
    }
    printf("hostile: seed %llu\n", (unsigned long long)seed);
    fflush(stdout);
    fixture_run(readers_survive);
    return 0;
}
