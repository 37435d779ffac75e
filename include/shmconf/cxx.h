/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The same calls for C++11 and later: scopes instead of pairs, at the same cost. Nothing throws.
 *
 *     shmconf::reader config("Shop:Prod:Checkout");
 *     config.wait(5000);                                once: has the daemon fetch it, and waits
 *     shmconf::snapshot now(config);                    now.data(), now.size()
 */
#ifndef SHMCONF_CXX_H
#define SHMCONF_CXX_H

#ifndef __cplusplus
#error "shmconf/cxx.h is for C++; shmconf.h includes it there"
#endif

#include <cstddef>

namespace shmconf
{

/* A version that is kept as long as this object lives; may be handed to another thread. */
class held_version
{
  public:
    held_version() noexcept : version_(nullptr)
    {
    }
    explicit held_version(const shmconf_version *version) noexcept : version_(shmconf_hold(version))
    {
    }
    held_version(const held_version &other) noexcept : version_(shmconf_hold(other.version_))
    {
    }
    held_version(held_version &&other) noexcept : version_(other.version_)
    {
        other.version_ = nullptr;
    }
    held_version &operator=(held_version other) noexcept
    {
        const shmconf_version *mine = version_;
        version_ = other.version_;
        other.version_ = mine;
        return *this;
    }
    ~held_version()
    {
        shmconf_drop(version_);
    }
    explicit operator bool() const noexcept
    {
        return version_ != nullptr;
    }
    const shmconf_version *operator->() const noexcept
    {
        return version_;
    }
    const shmconf_version *get() const noexcept
    {
        return version_;
    }

  private:
    const shmconf_version *version_;
};

class reader
{
  public:
    explicit reader(const char *name, unsigned flags = 0) noexcept
        : opened_(shmconf_open(&reader_, name, flags))
    {
    }
    reader(const reader &) = delete;
    reader &operator=(const reader &) = delete;
    ~reader()
    {
        if (opened_ == 0)
            shmconf_close(&reader_);
    }

    /* What shmconf_open returned, such as -EINVAL for a malformed name: then the other calls return
       it too, and snapshots are empty. */
    int opened() const noexcept
    {
        return opened_;
    }
    /* Until the next call of it or the next snapshot, see shmconf_current. */
    const shmconf_version *current() noexcept
    {
        return shmconf_current(&reader_);
    }
    int error() const noexcept
    {
        return shmconf_error(&reader_);
    }
    int wait(long timeout_ms) noexcept
    {
        return shmconf_wait(&reader_, timeout_ms);
    }
    int fresh(unsigned long max_age_ms, long timeout_ms) noexcept
    {
        return shmconf_fresh(&reader_, max_age_ms, timeout_ms);
    }
    int request(long timeout_ms) noexcept
    {
        return shmconf_request(&reader_, timeout_ms);
    }
    int status(struct shmconf_health &out) noexcept
    {
        return shmconf_status(&reader_, &out);
    }
    shmconf_reader *c_reader() noexcept
    {
        return &reader_;
    }

  private:
    shmconf_reader reader_;
    int opened_;
};

/* One consistent version for the length of a scope. */
class snapshot
{
  public:
    explicit snapshot(reader &from) noexcept
        : reader_(from.c_reader()), version_(shmconf_enter(reader_))
    {
    }
    snapshot(const snapshot &) = delete;
    snapshot &operator=(const snapshot &) = delete;
    ~snapshot()
    {
        shmconf_leave(reader_);
    }
    /* False as long as nothing was ever published. */
    explicit operator bool() const noexcept
    {
        return version_ != nullptr;
    }
    const shmconf_version *operator->() const noexcept
    {
        return version_;
    }
    const char *data() const noexcept
    {
        return shmconf_text(version_).data;
    }
    std::size_t size() const noexcept
    {
        return shmconf_text(version_).size;
    }
    held_version hold() const noexcept
    {
        return held_version(version_);
    }

  private:
    shmconf_reader *reader_;
    const shmconf_version *version_;
};

} // namespace shmconf

#endif
