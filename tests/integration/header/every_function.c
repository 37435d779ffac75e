/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every public function once, as C and as C++. Where there is no shared memory each one that can
 * fail answers -ENOTSUP; on Linux, with an empty region and no daemon, each says what is missing.
 */
#include <shmconf.h>

#include <stdio.h>

static int wrong;

static void expect(const char *call, int actual, int on_linux)
{
#ifdef __linux__
    int expected = on_linux;
#else
    int expected = -ENOTSUP;
    (void)on_linux;
#endif
    if (actual != expected) {
        printf("%s is %d, not %d\n", call, actual, expected);
        wrong = 1;
    }
}

static void expect_nothing(const char *call, int is_nothing)
{
    if (!is_nothing) {
        printf("%s gave a version where there is none\n", call);
        wrong = 1;
    }
}

static void use_c(void)
{
    struct shmconf_reader reader;
    struct shmconf_health health;
    const struct shmconf_version *version;

    expect("open_parts", shmconf_open_parts(&reader, "Shop", "Prod", "Checkout", 0), 0);
    expect("close", shmconf_close(&reader), 0);
    expect("open", shmconf_open(&reader, "Shop:Prod:Checkout", 0), 0);
    expect_nothing("current", !shmconf_current(&reader));
    version = shmconf_enter(&reader);
    expect_nothing("enter", !version);
    expect_nothing("text", shmconf_text(version).size == 0);
    version = shmconf_hold(version);
    expect_nothing("hold", !version);
    shmconf_drop(version);
    shmconf_leave(&reader);
    expect("error", shmconf_error(&reader), -ENOENT);
    expect("wait", shmconf_wait(&reader, 0), -ETIMEDOUT);
    expect("fresh", shmconf_fresh(&reader, 1000, 0), -ENOENT);
    expect("request", shmconf_request(&reader, 1000), -ECONNREFUSED);
    expect("status", shmconf_status(&reader, &health), -ENOENT);
    expect_nothing("status", health.generation == 0);
    expect("close", shmconf_close(&reader), 0);
    expect_nothing("strerror", shmconf_strerror(-ENOTSUP)[0] != '\0');
}

#ifdef __cplusplus
static void use_cxx()
{
    shmconf::reader reader("Shop:Prod:Checkout");
    struct shmconf_health health;
    expect("reader", reader.opened(), 0);
    {
        shmconf::snapshot snapshot(reader);
        shmconf::held_version held = snapshot.hold();
        shmconf::held_version copy(held);
        expect_nothing("snapshot", !snapshot && snapshot.size() == 0 && snapshot.data()[0] == '\0');
        expect_nothing("held_version", !held && !copy && copy.get() == nullptr);
    }
    expect_nothing("reader.current", reader.current() == nullptr);
    expect("reader.error", reader.error(), -ENOENT);
    expect("reader.wait", reader.wait(0), -ETIMEDOUT);
    expect("reader.fresh", reader.fresh(1000, 0), -ENOENT);
    expect("reader.request", reader.request(1000), -ECONNREFUSED);
    expect("reader.status", reader.status(health), -ENOENT);
}
#endif

int main(void)
{
    use_c();
#ifdef __cplusplus
    use_cxx();
#endif
    return wrong;
}
