/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Publication, take-over and the replacement of heads: a daemon that is killed at any step and
 * started again, and readers that poll or sleep. docs/verification.md says what is checked.
 *
 * One step is one system call or one store of a head, in one order for all: a record is copied
 * whole, which cells.pml has shown. Contents are numbered in the order in which the source brings
 * them. A reader ends when it has the last one; the daemon ends, alive, when that is published and
 * in place. So a reader that is stranded shows as a process that waits for ever, or as one that
 * turns more often than LATE times behind the daemon's end. Wakes have to be enough: the slices of
 * 5 s pass only where a third party removes files (HARMS).
 *
 * Mutations of the daemon, for spin -D: STORE_BEFORE_NAME UNLINK_BEFORE_STORE UNLINK_PREDECESSOR
 * RENAME_BEFORE_MOVED STORE_AFTER_MOVED NO_WAKE NO_WAKE_AT_START NO_WAKE_OF_MOVED NO_SWEEP
 * MOVED_NOT_FINISHED. Of the reader: SEEN_ACROSS_HEADS SEEN_UNDER_MOVED
 * GENERATION_ACROSS_HEADS NO_INSTANCE_CHECK DROP_LAST_GOOD ENOENT_IS_FINAL SLEEP_WITHOUT_COMPARE
 * HEALS_WITHOUT_LOOK
 */
#ifndef PUBLICATIONS
#define PUBLICATIONS 3
#endif
#ifndef STATUSES
#define STATUSES 1      /* stores that change the times only */
#endif
#ifndef KILLS
#define KILLS 1
#endif
#ifndef REPLACEMENTS
#define REPLACEMENTS 1  /* take-overs that find another boot's head */
#endif
#ifndef REFUSALS
#define REFUSALS 0      /* heads that cannot be made: the disk is full */
#endif
#ifndef HARMS
#define HARMS 0         /* times that a third party removes something */
#endif
#ifndef OPENS_REFUSED
#define OPENS_REFUSED 0 /* for each reader: no descriptors are left */
#endif
#ifndef POLLERS
#define POLLERS 1
#endif
#ifndef SLEEPERS
#define SLEEPERS 0
#endif

#define NONE 255
#define LATE 12
#define HEADS (2 + KILLS + REPLACEMENTS + REFUSALS + 2 * HARMS)
#define GENERATIONS (PUBLICATIONS + KILLS + 2 * HARMS + 3)

typedef head_file {
    byte seq;
    byte generation;
    bit is_moved;
    byte instance;
    byte directory;
    byte content;   /* that its generation was published with: for assertions only */
};
head_file head[HEADS];
byte heads_made;

/* The path: which directory and which head stand there, and the names in that directory. */
byte directory;
byte path_head = NONE;
byte file_content[GENERATIONS];    /* of v<generation>; 0: no such name */
byte file_instance[GENERATIONS];

byte instances;
byte wanted = 1;    /* what the source has now */
byte harms;
bit kill;
bit is_finished;
byte asleep_on[POLLERS + SLEEPERS];    /* FUTEX_WAIT on this head's seq + 1; 0: awake */
byte i;             /* of d_steps; 0 outside */

/* daemon/region/head.c: head_store */
inline head_store(h, g, c, moved)
{
    d_step {
#ifndef STORE_AFTER_MOVED
        assert(!head[h].is_moved);
#endif
        head[h].seq++;
        head[h].generation = g;
        head[h].content = c;
        head[h].is_moved = moved
    }
}

/* daemon/region/head.c: head_wake */
inline head_wake(h)
{
    d_step {
        do
        :: i < POLLERS + SLEEPERS ->
            if
            :: asleep_on[i] == h + 1 -> asleep_on[i] = 0
            :: else
            fi;
            i++
        :: else -> break
        od;
        i = 0
    }
}

/* daemon/region/directory.c: region_directory_sweep */
inline sweep(g)
{
    d_step {
        do
        :: i < GENERATIONS ->
            if
            :: here == directory && (g == 0 || (i != g && i + 1 != g)) ->
                file_content[i] = 0;
                file_instance[i] = 0
            :: else
            fi;
            i++
        :: else -> break
        od;
        i = 0
    }
}

inline remove_version(g)
{
    d_step {
        if
        :: here == directory -> file_content[g] = 0; file_instance[g] = 0
        :: else
        fi
    }
}

/* daemon/region/version.c: version_write; has_failed: the directory was removed meanwhile */
inline version_write(g, c)
{
    d_step {
        if
        :: here == directory -> file_content[g] = c; file_instance[g] = instance
        :: else -> has_failed = 1
        fi
    }
}

/* daemon/region/head.c: head_create, up to the rename */
inline head_create(g, c)
{
    atomic {
        if
        :: here != directory -> has_failed = 1
        :: here == directory && refusals < REFUSALS -> refusals++; has_failed = 1
        :: here == directory ->
            d_step {
                head[heads_made].seq = 1;
                head[heads_made].generation = g;
                head[heads_made].content = c;
                head[heads_made].instance = instance;
                head[heads_made].directory = here;
                path_head = heads_made;
                mapped = heads_made;
                heads_made++
            }
        fi
    }
}

inline mark_moved(old)
{
    if
    :: old != NONE && !head[old].is_moved ->
        head_store(old, generation, content, 1);
#ifndef NO_WAKE_OF_MOVED
        head_wake(old)
#endif
    :: else
    fi
}

/* The end of replace_head */
inline take_new_head(g, c)
{
    d_step {
        if
        :: !has_failed -> generation = g; content = c; is_moved = 0
        :: else
        fi
    }
}

/* daemon/region/entry.c: entry_replace_head */
inline replace_head(g, c)
{
    is_moved = (mapped != NONE);
#ifdef RENAME_BEFORE_MOVED
    old_head = mapped;
    head_create(g, c);
    if
    :: !has_failed -> mark_moved(old_head); old_head = NONE
    :: else
    fi;
#elif defined(STORE_AFTER_MOVED)
    old_head = mapped;
    mark_moved(mapped);
    head_create(g, c);
    if
    :: !has_failed && old_head != NONE -> head_store(old_head, generation, content, 0)
    :: else
    fi;
    old_head = NONE;
#else
    mark_moved(mapped);
    head_create(g, c);
#endif
    take_new_head(g, c)
}

/* daemon/region/entry.c: publish, with the answer of head_is_in_place */
inline publish(c)
{
    d_step {
        has_failed = 0;
        here = directory;
        is_in_place = (mapped != NONE && path_head == mapped);
        if
        :: mapped != NONE -> instance = head[mapped].instance
        :: else -> instances++; instance = instances
        fi
    };
#ifdef STORE_BEFORE_NAME
    if
    :: is_in_place && !is_moved -> head_store(mapped, generation + 1, c, 0)
    :: else
    fi;
#endif
    version_write(generation + 1, c);
    if
    :: has_failed
    :: !has_failed && is_in_place && !is_moved ->
#ifdef UNLINK_BEFORE_STORE
        remove_version(generation);
#endif
#ifndef STORE_BEFORE_NAME
        head_store(mapped, generation + 1, c, 0);
#endif
        d_step { generation++; content = c };
#ifndef NO_WAKE
        head_wake(mapped);
#endif
#ifdef UNLINK_PREDECESSOR
        remove_version(generation - 1);
#endif
        if
        :: generation > 2 -> remove_version(generation - 2)
        :: else
        fi;
        version = c
    :: !has_failed && !(is_in_place && !is_moved) ->
        replace_head(generation + 1, c);
        if
        :: has_failed -> remove_version(generation + 1)
        :: else -> sweep(generation); version = c
        fi
    fi
}

/* daemon/region/take_over.c, all of it but that begin_anew publishes what else is whole after a boot;
   head.c: head_open; region.c: recover_entry */
inline take_over()
{
    d_step {
        here = directory;
        mapped = path_head;
        if
        :: mapped != NONE ->
            generation = head[mapped].generation;
            content = head[mapped].content;
            is_moved = head[mapped].is_moved;
            instance = head[mapped].instance
        :: else
        fi
    };
    if
    :: mapped == NONE -> sweep(0)
    :: mapped != NONE ->
#ifndef NO_WAKE_AT_START
        head_wake(mapped);
#endif
        d_step {
            if
            :: here == directory && file_instance[generation] == instance ->
                version = file_content[generation]
            :: else
            fi
        };
#ifndef NO_SWEEP
        sweep(generation);
#endif
        if
#ifndef MOVED_NOT_FINISHED
        :: is_moved -> /* replace_head, without its store: that was the predecessor's */
            head_create(generation, content);
            take_new_head(generation, content)
#endif
        :: replacements < REPLACEMENTS && version != 0 -> /* not is_this_boot */
            replacements++;
            replace_head(generation, content)
        :: replacements < REPLACEMENTS && version == 0 -> /* lets its readers find the damage */
            if
            :: !is_moved -> mark_moved(mapped)
            :: else
            fi;
            d_step { replacements++; mapped = NONE; generation = 0; content = 0; is_moved = 0 }
#ifdef MOVED_NOT_FINISHED
        :: skip
#else
        :: !is_moved
#endif
        fi
    fi
}

/* daemon/region/entry.c: head_is_in_place and version_is_in_place */
#ifdef MOVED_NOT_FINISHED
#define IS_SETTLED true
#else
#define IS_SETTLED (!is_moved)
#endif
#define IS_IN_PLACE (IS_SETTLED && mapped == path_head && mapped != NONE && \
                     file_content[generation] == version)

active proctype daemon()
{
    /* struct region_entry */
    byte mapped = NONE;
    byte generation, content, instance;
    byte version;        /* what it has in memory: a content, 0: nothing */
    bit is_moved;
    byte here;           /* the directory that was opened */
    bit has_failed, is_in_place;
#if defined(RENAME_BEFORE_MOVED) || defined(STORE_AFTER_MOVED)
    byte old_head = NONE;
#endif
    byte statuses, replacements, refusals;
start:
    skip;
    {
        take_over();
        do
        :: wanted < PUBLICATIONS -> wanted++
        :: version != wanted -> publish(wanted) /* region_entry_publish */
        :: version == wanted && statuses < STATUSES && mapped != NONE -> /* region_entry_status */
            statuses++;
            if
            :: is_moved
            :: !is_moved -> head_store(mapped, generation, content, 0)
            fi
        :: version != 0 && !IS_IN_PLACE -> publish(version) /* region_entry_check */
        :: atomic { wanted == PUBLICATIONS && version == wanted && IS_IN_PLACE -> is_finished = 1 };
            break
        od
    } unless {
        atomic {
            kill -> kill = 0;
            mapped = NONE; generation = 0; content = 0; instance = 0; version = 0;
            is_moved = 0; here = 0; has_failed = 0; is_in_place = 0; i = 0;
#if defined(RENAME_BEFORE_MOVED) || defined(STORE_AFTER_MOVED)
            old_head = NONE;
#endif
        };
        goto start
    };
    skip;
    d_step { /* what is left: a head to stay, the current version and its predecessor */
        assert(!head[mapped].is_moved);
        do
        :: i < GENERATIONS ->
            assert(file_content[i] == 0 || i == generation || i + 1 == generation);
            i++
        :: else -> break
        od;
        i = 0
    }
}

active proctype killer()
{
    byte kills;
end:
    do
    :: atomic { kills < KILLS && !is_finished && !kill -> kill = 1; kills++ }
    od
}

#if HARMS > 0
active proctype third_party()
{
end:
    do
    :: d_step { /* rm -rf */
        harms < HARMS && !is_finished -> harms++;
        directory++;
        path_head = NONE;
        do
        :: i < GENERATIONS -> file_content[i] = 0; file_instance[i] = 0; i++
        :: else -> break
        od;
        i = 0
    }
    :: d_step { harms < HARMS && !is_finished -> harms++; path_head = NONE }
    :: d_step { /* the current version */
        harms < HARMS && !is_finished && path_head != NONE -> harms++;
        file_content[head[path_head].generation] = 0;
        file_instance[head[path_head].generation] = 0
    }
    od
}
#endif

#include "reader.pml"

#if POLLERS > 0
active [POLLERS] proctype poller()
{
    READER_STATE;
    do
    :: !HAS_LAST && SEQ != seen -> note_turn(); enter()
    :: !HAS_LAST && HARMS > 0 && (SEQ == seen || !is_finished) ->
        note_turn();
        look() /* shmconf_status */
    :: HAS_LAST -> break
    od
}
#endif

#if SLEEPERS > 0
active [SLEEPERS] proctype sleeper()
{
    READER_STATE;
    byte turns;
    do
    :: !HAS_LAST ->
        turns = 0;
        do
        :: SEQ != seen && turns < 2 -> turns++; enter()
        :: SEQ == seen || turns > 0 -> break
        od;
        wait()
    :: HAS_LAST -> break
    od
}
#endif
