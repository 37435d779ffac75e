/* SPDX-License-Identifier: Apache-2.0 */
/* What is shared, as bytes: compared after each instruction, without the reader's code. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "step.h"
#include "temporary.h"

/* ---- Names and files ---------------------------------------------------------------------------
 */

static uint64_t digest(uint64_t state, const void *bytes, size_t size)
{
    const unsigned char *at = bytes;
    for (size_t i = 0; i < size; i++)
        state = (state ^ at[i]) * UINT64_C(0x100000001b3); /* FNV-1a */
    return state;
}

static uint64_t digest_number(uint64_t state, uint64_t number)
{
    for (unsigned bits = 0; bits < 64; bits += 8)
        state = (state ^ (number >> bits & 0xff)) * UINT64_C(0x100000001b3);
    return state;
}

static uint64_t digest_file(uint64_t state, int directory, const char *name)
{
    char bytes[4096];
    ssize_t size;
    int fd = openat(directory, name, O_RDONLY | O_NOFOLLOW);
    if (fd < 0)
        step_fail("%s: %s", name, strerror(errno));
    while ((size = read(fd, bytes, sizeof bytes)) > 0)
        state = digest(state, bytes, (size_t)size);
    close(fd);
    return state;
}

/* The sum over all entries, since their order means nothing. Heads are compared in their mapping.
 */
static uint64_t digest_tree(int directory, const char *name, uint64_t path)
{
    struct stat status;
    if (fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) != 0)
        return 0;
    path = digest(path, name, strlen(name) + 1);
    path = digest_number(path, status.st_ino);
    path = digest_number(path, status.st_mode);
    path = digest_number(path, status.st_uid);
    if (!S_ISDIR(status.st_mode)) {
        path = digest_number(path, (uint64_t)status.st_size);
        return strcmp(name, SHMCONF_HEAD_FILE) == 0 ? path : digest_file(path, directory, name);
    }
    uint64_t sum = path;
    int fd = openat(directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    DIR *stream = fd < 0 ? NULL : fdopendir(fd);
    if (!stream)
        step_fail("%s: %s", name, strerror(errno));
    for (struct dirent *entry; (entry = readdir(stream));)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            sum += digest_tree(fd, entry->d_name, path);
    closedir(stream);
    return sum;
}

struct step_files step_list(const char *root)
{
    struct step_files files = {.temporary = count_temporary(root)};
    char path[STEP_PATH_SIZE];
    snprintf(path, sizeof path, "%s/" STEP_PATH, root);
    DIR *stream = opendir(path);
    if (!stream)
        return files;
    for (struct dirent *entry; (entry = readdir(stream));) {
        const char *name = entry->d_name;
        char *end;
        uint64_t number = name[0] == 'v' ? strtoull(name + 1, &end, 16) : 0;
        if (strcmp(name, SHMCONF_HEAD_FILE) == 0)
            files.has_head = true;
        else if (strncmp(name, ".t", 2) == 0)
            files.temporary++;
        else if (number > 0 && number < 64 && *end == '\0')
            files.versions |= UINT64_C(1) << number;
        else if (strcmp(name, ".") != 0 && strcmp(name, "..") != 0)
            files.others++;
    }
    closedir(stream);
    return files;
}

/* ---- Heads -------------------------------------------------------------------------------------
 */

static struct step_head *find_head(struct step_state *state, ino_t inode)
{
    for (unsigned i = 0; i < state->head_count; i++)
        if (state->heads[i].inode == inode)
            return &state->heads[i];
    return NULL;
}

/* Maps the head at the path if it is a new one. A head's mapping keeps its inode from reuse. */
static void take_head(struct step_state *state)
{
    char path[STEP_PATH_SIZE];
    struct stat status;
    snprintf(path, sizeof path, "%s/" STEP_PATH "/" SHMCONF_HEAD_FILE, state->root);
    int fd = open(path, O_RDONLY | O_NOFOLLOW);
    state->current = -1;
    if (fd < 0)
        return;
    if (fstat(fd, &status) != 0 || status.st_size != SHMCONF_HEAD_SIZE)
        step_fail("a head of %lld bytes has its name", (long long)status.st_size);
    struct step_head *head = find_head(state, status.st_ino);
    if (!head) {
        if (state->head_count == STEP_HEADS)
            step_fail("more than %u heads", (unsigned)STEP_HEADS);
        void *map = mmap(NULL, SHMCONF_HEAD_SIZE, PROT_READ, MAP_SHARED, fd, 0);
        if (map == MAP_FAILED)
            step_fail("mmap: %s", strerror(errno));
        head = &state->heads[state->head_count++];
        head->inode = status.st_ino;
        head->map = map;
        memcpy(&head->before, map, sizeof head->before);
    }
    close(fd);
    state->current = (int)(head - state->heads);
}

static const struct shmconf_record *record_of(const struct shmconf_head *head)
{
    return &head->cells[head->seq & 1].record;
}

static bool is_moved(const struct step_head *head)
{
    return record_of(&head->before)->state & SHMCONF_MOVED;
}

/*
 * A slow reader may take each word of its copy from any state between the two in which it loads the
 * sequence, and keeps the copy if both loads are equal. So no such reader, at whatever speed, gets
 * a torn record if these hold from each state to the next: while a head's sequence is the same, no
 * word of the cell that it names changes; and the sequence only goes forward.
 */
static void check_head(const struct step_head *head)
{
    const struct shmconf_head *old = &head->before;
    const struct shmconf_head *new = head->map;
    uint32_t next = old->seq == UINT32_MAX ? 2 : old->seq + 1;
    if (memcmp(old, new, offsetof(struct shmconf_head, seq)) != 0 ||
        memcmp(old->reserved1, new->reserved1, sizeof old->reserved1) != 0 ||
        memcmp(&old->name_size, &new->name_size,
               sizeof *old - offsetof(struct shmconf_head, name_size)) != 0)
        step_fail("the constant part of a head changed");
    if (is_moved(head))
        step_fail("a head changed behind its MOVED");
    if (new->seq != old->seq &&new->seq != next)
        step_fail("sequence %u came behind %u", new->seq, old->seq);
    if (new->seq == old->seq &&
        memcmp(&old->cells[old->seq & 1], &new->cells[old->seq & 1], sizeof *old->cells) != 0)
        step_fail("the current cell was filled");
    if (new->seq != old->seq && memcmp(old->cells, new->cells, sizeof old->cells) != 0)
        step_fail("a cell changed together with the sequence");
}

/* Whether a head's bytes changed since the last look. */
static bool heads_changed(struct step_state *state)
{
    bool changed = false;
    for (unsigned i = 0; i < state->head_count; i++) {
        struct step_head *head = &state->heads[i];
        if (memcmp(&head->before, head->map, sizeof head->before) == 0)
            continue;
        if (step_checks != STEP_READERS)
            check_head(head);
        memcpy(&head->before, head->map, sizeof head->before);
        changed = true;
    }
    return changed;
}

/* ---- All of it ---------------------------------------------------------------------------------
 */

void step_state_take(struct step_state *state, bool is_damaged)
{
    for (unsigned i = 0; i < state->head_count; i++)
        memcpy(&state->heads[i].before, state->heads[i].map, sizeof state->heads[i].before);
    state->is_damaged = is_damaged;
    state->names = digest_tree(AT_FDCWD, state->root, 0);
    state->files = step_list(state->root);
    take_head(state);
}

uint64_t step_state_generation(const struct step_state *state)
{
    if (state->current < 0)
        return 0;
    const struct shmconf_head *head = &state->heads[state->current].before;
    bool is_live = (record_of(head)->state & 0xff) == SHMCONF_LIVE;
    bool is_valid = memcmp(head->magic, SHMCONF_HEAD_MAGIC, sizeof head->magic) == 0;
    return is_live && is_valid ? record_of(head)->generation : 0;
}

/* What must hold for names, whatever readers do. */
static void check_names(const struct step_state *state)
{
    uint64_t generation = step_state_generation(state);
    for (int i = 0; state->current >= 0 && i < (int)state->head_count; i++)
        if (i != state->current && !is_moved(&state->heads[i]))
            step_fail("a head lost its name to another one before it said MOVED");
    if (state->is_damaged || generation == 0)
        return;
    if (!(state->files.versions >> generation & 1))
        step_fail("the head names generation %llu, which has no file",
                  (unsigned long long)generation);
    /* Kept for a reader that has copied the record before and opens the file only now. */
    if (generation > 1 && !(state->files.versions >> (generation - 1) & 1))
        step_fail("the predecessor of generation %llu lost its name",
                  (unsigned long long)generation);
}

bool step_state_changed(struct step_state *state, bool with_names)
{
    bool changed = heads_changed(state);
    if (with_names) {
        uint64_t names = digest_tree(AT_FDCWD, state->root, 0);
        changed = changed || names != state->names;
        state->names = names;
    }
    if (!changed)
        return false;
    take_head(state);
    state->files = step_list(state->root);
    if (step_checks != STEP_READERS)
        check_names(state);
    return true;
}

void step_state_end(struct step_state *state)
{
    for (unsigned i = 0; i < state->head_count; i++) {
        union {
            const void *in;
            void *out;
        } map = {.in = state->heads[i].map};
        munmap(map.out, SHMCONF_HEAD_SIZE);
    }
    state->head_count = 0;
}
