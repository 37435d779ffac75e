/* SPDX-License-Identifier: Apache-2.0 */
/* Names of configurations: two spellings, limits, and the file names made of them. */
#include <shmconf/name.h>
#include <stdio.h>
#include <string.h>

#include "check.h"

static void check_parts(const char *text, const char *application, const char *environment,
                        const char *profile)
{
    struct shmconf_name name;
    CHECK_INT(0, shmconf_name_parse(&name, text));
    CHECK_STRING(application, shmconf_name_part(&name, SHMCONF_APPLICATION));
    CHECK_STRING(environment, shmconf_name_part(&name, SHMCONF_ENVIRONMENT));
    CHECK_STRING(profile, shmconf_name_part(&name, SHMCONF_PROFILE));
    CHECK_INT(strlen(application) + strlen(environment) + strlen(profile) + 3, name.size);
}

static void both_spellings_say_the_same(void)
{
    check_parts("Shop:Prod:Checkout", "Shop", "Prod", "Checkout");
    check_parts("/applications/Shop/environments/Prod/configurations/Checkout", "Shop", "Prod",
                "Checkout");
    check_parts("my app:a/b:.x y", "my app", "a/b", ".x y");
    check_parts("/applications/my%20app/environments/a%2Fb/configurations/%2ex+y", "my app", "a/b",
                ".x+y");
    check_parts("/applications/a%3ab/environments/c:d/configurations/%25", "a:b", "c:d", "%");
    check_parts("100%:a%2Fb:%zz", "100%", "a%2Fb", "%zz"); /* no escapes between colons */
    check_parts("/applications:b:c", "/applications", "b", "c");
}

static void malformed_names_are_refused(void)
{
    static const char *const malformed[] = {
        "",
        ":",
        "::",
        "a",
        "a:b",
        "a:b:",
        "a::c",
        ":b:c",
        "a:b:c:",
        "a:b:c:d",
        "/applications/",
        "/applications/a",
        "/applications/a/environments/b",
        "/applications/a/environments/b/configurations/",
        "/applications//environments/b/configurations/c",
        "/applications/a/environments/b/configurations/c/",
        "/applications/a/environments/b/configurations/c/d",
        "/applications/a/environment/b/configurations/c",
        "/applications/a:b:c",
        "/applications/%/environments/b/configurations/c",
        "/applications/a/environments/b/configurations/%",
        "/applications/a/environments/b/configurations/%4",
        "/applications/a/environments/b/configurations/%4g",
        "/applications/a/environments/b/configurations/%g4",
        "/applications/a/environments/b/configurations/c%00d",
    };
    struct shmconf_name name;
    for (size_t i = 0; i < sizeof malformed / sizeof malformed[0]; i++) {
        int rc = shmconf_name_parse(&name, malformed[i]);
        if (rc != -EINVAL)
            fprintf(stderr, "\"%s\":\n", malformed[i]);
        CHECK_INT(-EINVAL, rc);
    }
    CHECK_INT(-EINVAL, shmconf_name_set(&name, NULL, "b", "c"));
    CHECK_INT(-EINVAL, shmconf_name_set(&name, "a", NULL, "c"));
    CHECK_INT(-EINVAL, shmconf_name_set(&name, "a", "b", NULL));
    CHECK_INT(-EINVAL, shmconf_name_set(&name, "a", "b", ""));
}

/* `count` times `unit`, behind `text`. */
static char *repeat(char *text, const char *unit, size_t count)
{
    char *end = text + strlen(text);
    for (size_t i = 0; i < count; i++) {
        size_t size = strlen(unit);
        memcpy(end, unit, size + 1);
        end += size;
    }
    return end;
}

static void a_part_may_have_512_bytes(void)
{
    char text[4 * 3 * SHMCONF_PART_MAX] = "";
    struct shmconf_name name;
    for (int i = 0; i < SHMCONF_PARTS; i++)
        repeat(repeat(text, "x", SHMCONF_PART_MAX), ":", i < SHMCONF_PROFILE);
    CHECK_INT(0, shmconf_name_parse(&name, text));
    CHECK_INT(3 * (SHMCONF_PART_MAX + 1), name.size);
    CHECK(name.size <= sizeof(((struct shmconf_head *)0)->name));
    repeat(text, "x", 1);
    CHECK_INT(-ENAMETOOLONG, shmconf_name_parse(&name, text));

    /* Counted decoded. */
    text[0] = '\0';
    repeat(text, "/applications/", 1);
    repeat(text, "%ff", SHMCONF_PART_MAX);
    size_t whole = strlen(text);
    repeat(text, "/environments/b/configurations/c", 1);
    CHECK_INT(0, shmconf_name_parse(&name, text));
    CHECK_INT(SHMCONF_PART_MAX, strlen(shmconf_name_part(&name, SHMCONF_APPLICATION)));
    text[whole] = '\0';
    repeat(text, "a/environments/b/configurations/c", 1);
    CHECK_INT(-ENAMETOOLONG, shmconf_name_parse(&name, text));
}

static const char *segment_of(const char *part)
{
    static char segment[SHMCONF_SEGMENT_MAX + 1];
    struct shmconf_name name;
    CHECK_INT(0, shmconf_name_set(&name, "a", part, "c"));
    shmconf_name_segment(&name, SHMCONF_ENVIRONMENT, segment);
    return segment;
}

static void file_names_follow_the_table(void)
{
    static const char *const table[][2] = {
        {"Checkout", "Checkout"},
        {"a-b_C.9", "a-b_C.9"},
        {".", "%2E"},
        {"..", "%2E."},
        {".hidden", "%2Ehidden"},
        {"a.", "a."},
        {"a/b", "a%2Fb"},
        {"../../etc", "%2E.%2F..%2Fetc"},
        {"a b", "a%20b"},
        {"a:b", "a%3Ab"},
        {"%2F", "%252F"},
        {"~", "%7E"},
        {"\n", "%0A"},
        {"\x7f", "%7F"},
        {"\xc3\xa4", "%C3%A4"},
        {"\xff", "%FF"},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        CHECK_STRING(table[i][1], segment_of(table[i][0]));
}

static void long_file_names_end_in_a_digest(void)
{
    char part[SHMCONF_PART_MAX + 1] = "";
    repeat(part, "x", SHMCONF_SEGMENT_MAX);
    CHECK_STRING(part, segment_of(part));
    repeat(part, "x", 1);
    const char *segment = segment_of(part);
    CHECK_INT(160 + 1 + 32, strlen(segment));
    CHECK(memcmp(segment, part, 160) == 0);
    CHECK_STRING("~84a0678c90937f5dcf9994d5866668da", segment + 160);

    /* The same 160 bytes in front, another digest. */
    part[SHMCONF_SEGMENT_MAX] = 'y';
    CHECK(strcmp(segment_of(part) + 160, "~84a0678c90937f5dcf9994d5866668da") != 0);

    /* It is the encoded form that is too long; the digest is of the part itself. */
    part[0] = '\0';
    repeat(part, "\xff", 100);
    segment = segment_of(part);
    CHECK(strncmp(segment, "%FF%FF", 6) == 0);
    CHECK_STRING("~da6f14970ce356ce01a5b340291e9d8b", segment + 160);
    part[0] = '\0';
    repeat(part, "\xff", 66); /* 198 bytes */
    CHECK_INT(198, strlen(segment_of(part)));
}

static void every_byte_makes_the_round_trip(void)
{
    for (unsigned byte = 1; byte < 256; byte++) {
        char part[2] = {(char)byte, '\0'};
        char text[SHMCONF_NAME_TEXT_MAX];
        struct shmconf_name name, again;
        for (int at = 0; at < SHMCONF_PARTS; at++) {
            CHECK_INT(0, shmconf_name_set(&name, at == 0 ? part : "a", at == 1 ? part : "b",
                                          at == 2 ? part : "c"));
            shmconf_name_print(&name, text);
            CHECK_INT(0, shmconf_name_parse(&again, text));
            CHECK_INT(name.size, again.size);
            CHECK(memcmp(name.text, again.text, name.size) == 0);
        }
        const char *segment = segment_of(part);
        CHECK(segment[0] != '.' && !strchr(segment, '/'));
        CHECK_INT(strlen(segment) == 1, shmconf_name_is_plain(part[0]) && part[0] != '.');
    }
}

/* Two names never share a file name, and so no directory. */
static void single_bytes_have_file_names_of_their_own(void)
{
    char segments[256][SHMCONF_SEGMENT_MAX + 1];
    for (unsigned byte = 1; byte < 256; byte++) {
        char part[2] = {(char)byte, '\0'};
        snprintf(segments[byte], sizeof segments[byte], "%s", segment_of(part));
        for (unsigned other = 1; other < byte; other++)
            CHECK(strcmp(segments[byte], segments[other]) != 0);
    }
}

static void names_are_printed_with_colons_where_that_says_them(void)
{
    static const char *const table[][4] = {
        {"a", "b", "c", "a:b:c"},
        {"a b", "\xc3\xa4/", "%", "a b:\xc3\xa4/:%"},
        {"a:b", "c", "d", "/applications/a%3Ab/environments/c/configurations/d"},
        {"/applications/x", "b", "c",
         "/applications/%2Fapplications%2Fx/environments/b/configurations/c"},
        {"/applications", "b", "c", "/applications:b:c"},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct shmconf_name name;
        char text[SHMCONF_NAME_TEXT_MAX];
        CHECK_INT(0, shmconf_name_set(&name, table[i][0], table[i][1], table[i][2]));
        shmconf_name_print(&name, text);
        CHECK_STRING(table[i][3], text);
        check_parts(text, table[i][0], table[i][1], table[i][2]);
    }
}

static void the_longest_text_has_room(void)
{
    char part[SHMCONF_PART_MAX + 1] = "";
    struct shmconf_name name, again;
    char text[SHMCONF_NAME_TEXT_MAX];
    repeat(part, ":", SHMCONF_PART_MAX);
    CHECK_INT(0, shmconf_name_set(&name, part, part, part));
    shmconf_name_print(&name, text);
    CHECK(strlen(text) < sizeof text);
    CHECK_INT(0, shmconf_name_parse(&again, text));
    CHECK(memcmp(name.text, again.text, sizeof name.text) == 0);
}

static void generations_have_file_names(void)
{
    static const struct {
        uint64_t generation;
        const char *file;
    } table[] = {
        {1, "v00000001"},
        {0x2a, "v0000002a"},
        {0xffffffff, "vffffffff"},
        {0x100000000, "v100000000"},
        {0xffffffffffffffff, "vffffffffffffffff"},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        char file[SHMCONF_VERSION_FILE_SIZE];
        shmconf_version_file(file, table[i].generation);
        CHECK_STRING(table[i].file, file);
    }
}

int main(void)
{
    both_spellings_say_the_same();
    malformed_names_are_refused();
    a_part_may_have_512_bytes();
    file_names_follow_the_table();
    long_file_names_end_in_a_digest();
    every_byte_makes_the_round_trip();
    single_bytes_have_file_names_of_their_own();
    names_are_printed_with_colons_where_that_says_them();
    the_longest_text_has_room();
    generations_have_file_names();
    return 0;
}
