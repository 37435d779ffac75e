/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counts the blocks and bytes that a process has allocated and not freed. Resident memory shows a
 * leak only after many of them; this shows each. Loaded with LD_PRELOAD; the two numbers stand, as
 * 64 bits each, in the file that SOAK_HEAP_FILE names.
 */
#include <fcntl.h>
#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* glibc's own, under the names that stay when malloc is replaced. */
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *old, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);
extern void __libc_free(void *block);

struct numbers {
    int64_t blocks;
    int64_t bytes;
};

static struct numbers own; /* until the file is there, and without one */
static struct numbers *numbers = &own;

__attribute__((constructor)) static void share(void)
{
    const char *path = getenv("SOAK_HEAP_FILE");
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (fd < 0)
        return;
    struct numbers *shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (shared == MAP_FAILED)
        return;
    *shared = own;
    numbers = shared;
}

static void *add(void *block)
{
    if (block) {
        __atomic_fetch_add(&numbers->blocks, 1, __ATOMIC_RELAXED);
        __atomic_fetch_add(&numbers->bytes, (int64_t)malloc_usable_size(block), __ATOMIC_RELAXED);
    }
    return block;
}

static void subtract(int64_t bytes)
{
    __atomic_fetch_sub(&numbers->blocks, 1, __ATOMIC_RELAXED);
    __atomic_fetch_sub(&numbers->bytes, bytes, __ATOMIC_RELAXED);
}

void *malloc(size_t size)
{
    return add(__libc_malloc(size));
}

void *calloc(size_t count, size_t size)
{
    return add(__libc_calloc(count, size));
}

void *realloc(void *old, size_t size)
{
    int64_t before = old ? (int64_t)malloc_usable_size(old) : 0;
    void *block = __libc_realloc(old, size);
    if (old && (block || size == 0))
        subtract(before);
    return add(block);
}

void *memalign(size_t alignment, size_t size)
{
    return add(__libc_memalign(alignment, size));
}

void *aligned_alloc(size_t alignment, size_t size)
{
    return add(__libc_memalign(alignment, size));
}

int posix_memalign(void **out, size_t alignment, size_t size)
{
    void *block = add(__libc_memalign(alignment, size));
    if (!block)
        return 12; /* ENOMEM, without touching errno */
    *out = block;
    return 0;
}

void free(void *block)
{
    if (!block)
        return;
    subtract((int64_t)malloc_usable_size(block));
    __libc_free(block);
}
