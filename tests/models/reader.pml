/* SPDX-License-Identifier: Apache-2.0 */
/* The reader of publication.pml: include/shmconf/reader.h and wait.h, function by function. */

/* struct shmconf_reader; head_at NONE: none is mapped, and then seen is 1 and *seq is 0. Its gate is
   not here: outside of enter and leave it is `seen`, and inside nothing is looked at. */
#define READER_STATE                                                                               \
    byte head_at = NONE;                                                                           \
    byte seen = 1;                                                                                 \
    byte generation;                                                                               \
    byte version;         /* its content; 0: none */                                               \
    byte tried_instance, tried_generation;                                                         \
    bit has_error, has_looked, has_opened, was_removed;                                            \
    /* shmconf_head_copy */                                                                        \
    byte seq, answers, record_generation, record_content;                                          \
    bit record_moved;                                                                              \
    byte newest, late, opened, opens_refused

#define SEQ (head_at == NONE -> 0 : head[head_at].seq)

#define HAS_LAST (is_finished && version == PUBLICATIONS)

/* The process ids before the readers': of daemon and killer, and of the third party. */
#define READER (_pid - 2 - (HARMS > 0 -> 1 : 0))

/* Behind the daemon's end a reader has to arrive within a few turns. */
inline note_turn()
{
    d_step {
        if
        :: is_finished -> late++; assert(late <= LATE)
        :: else
        fi
    }
}

/* shmconf_look: has_looked is its answer 1 */
inline look()
{
    d_step {
        has_looked = 0;
        if
        :: path_head != NONE && path_head != head_at ->
            /* shmconf_map_head */
            head_at = path_head;
#ifndef SEEN_ACROSS_HEADS
            seen = 0;
#endif
#ifndef GENERATION_ACROSS_HEADS
            generation = 0;
#endif
            has_looked = 1
        :: else
        fi
    }
}

/* shmconf_may_look && shmconf_look: not within 100 ms, but behind the daemon's end time passes. */
inline may_look()
{
    has_looked = 0;
    if
    :: look()
    :: !is_finished
    fi
}

inline head_copy()
{
    d_step {
        seq = head[head_at].seq;
        record_generation = head[head_at].generation;
        record_content = head[head_at].content;
        record_moved = head[head_at].is_moved
    }
}

/* shmconf_version_open */
inline version_open()
{
    d_step { has_opened = 0; was_removed = 0; opened = 0 };
    if
    :: opens_refused < OPENS_REFUSED -> opens_refused++
    :: d_step { true;
        if
        :: head[head_at].directory != directory || file_content[record_generation] == 0 ->
            was_removed = 1
        :: else ->
#ifndef NO_INSTANCE_CHECK
            if
            :: file_instance[record_generation] != head[head_at].instance
            :: else ->
#endif
                has_opened = 1;
                opened = file_content[record_generation]
#ifndef NO_INSTANCE_CHECK
            fi
#endif
        fi
    }
    fi
}

#define HAS_FAILED (version == 0 && has_error && \
                    tried_instance == head[head_at].instance && \
                    tried_generation == record_generation)

/* shmconf_refresh */
inline enter()
{
    if
    :: head_at == NONE -> may_look()
    :: else
    fi;
    if
    :: head_at != NONE -> follow(); skip
    :: else
    fi;
    /* Never less than before: neither an older version nor none. */
    d_step { assert(version >= newest); newest = version }
}

/* shmconf_follow */
inline follow()
{
    do
    :: true ->
        head_copy();
        answers = seq;
        if
        :: record_moved ->
            may_look();
#ifndef SEEN_UNDER_MOVED
            answers = 0
#endif
        :: else -> has_looked = 0
        fi;
        if
        :: has_looked -> goto next
        :: !has_looked && record_generation == generation ->
            seen = answers;
            has_error = 0;
            break
        :: !has_looked && record_generation != generation && HAS_FAILED ->
            if
            :: look()
            :: !is_finished -> break
            fi
        :: else
        fi;
        if
        :: has_looked -> goto next
        :: else
        fi;
        /* shmconf_switch */
        d_step { tried_instance = head[head_at].instance; tried_generation = record_generation };
        version_open();
        if
        :: has_opened ->
            d_step {
                assert(opened == record_content); /* what the record named */
                version = opened;
                opened = 0;
                generation = record_generation;
                seen = answers;
                has_error = 0
            };
            break
        :: else
        fi;
        if
        :: was_removed ->
#ifndef ENOENT_IS_FINAL
            if
            :: head[head_at].seq != seq ->
                /* Every retry is paid for by two publications, or by the end of this head. */
                assert(head[head_at].generation >= record_generation + 2 ||
                       head[head_at].is_moved || harms > 0);
                goto next
            :: else
            fi;
#endif
            assert(harms > 0 || record_moved); /* the writer removes nothing that is named */
            may_look()
        :: else -> has_looked = 0
        fi;
        if
        :: has_looked -> goto next
        :: else
        fi;
        d_step {
            has_error = 1;
            if
            :: version != 0 -> seen = answers
            :: else -> seen = 0
            fi;
#ifdef DROP_LAST_GOOD
            version = 0
#endif
        };
        break;
next:
        skip
    od
}

/* shmconf_wait, with shmconf_news and shmconf_heals */
inline wait()
{
    do
    :: HAS_LAST -> break
    :: else ->
        note_turn();
        if
        :: head_at == NONE -> look()
        :: else
        fi;
        if
        :: head_at == NONE -> goto again /* a pause: nothing to sleep on */
        :: else
        fi;
        head_copy();
        if
        :: record_moved -> may_look()
        :: else -> has_looked = 0
        fi;
        if
        :: has_looked -> goto again
        :: !has_looked && (record_generation != tried_generation ||
                           head[head_at].instance != tried_instance) -> seen = 0; break
        :: else
        fi;
        if
        :: record_generation != generation && has_error ->
            version_open();
            if
            :: has_opened -> seen = 0; has_error = 0; opened = 0; break
            :: else
            fi;
#ifndef HEALS_WITHOUT_LOOK
            look();
#endif
            goto again
        :: else
        fi;
        /* shmconf_futex_wait */
        d_step {
            if
#ifdef SLEEP_WITHOUT_COMPARE
            :: true -> asleep_on[READER] = head_at + 1
#else
            :: head[head_at].seq == seq -> asleep_on[READER] = head_at + 1
            :: else
#endif
            fi
        };
        if
        :: asleep_on[READER] == 0
        :: d_step { asleep_on[READER] != 0 && (record_moved || HARMS > 0) -> /* the slice is over */
            asleep_on[READER] = 0 };
            if
            :: HARMS > 0 -> look()
            :: else
            fi
        :: HAS_LAST -> asleep_on[READER] = 0
        fi;
again:
        skip
    od
}
