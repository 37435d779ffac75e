/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The seqlock of two cells under weak ordering: one head, its writer, killed at any step and taken
 * over, and a reader. docs/verification.md says what is checked.
 *
 * A store goes into a buffer of its location, and reaches the memory in any order with those of
 * other locations; a release store and a release fence wait until all earlier ones are there. The
 * reader's loads happen in any order that its acquire load and fence leave. The name and the body
 * of a file are locations like the others: nothing is asked of the kernel's own ordering.
 *
 * One reader is enough: readers write nothing, so none can disturb another.
 *
 * Mutations, for spin -D: NO_STORE_FENCE RELAXED_SEQ SEQ_BEFORE_NAME UNLINK_BEFORE_SEQ FILL_CURRENT
 * WRAP_TO_0 WRAP_TO_1 TAKE_OTHER_CELL NO_ACQUIRE NO_COPY_FENCE NO_RELOAD_FENCE
 */
#ifndef STORES
#define STORES 3        /* sequences that are stored, less than a whole turn of the sequence */
#endif
#ifndef KILLS
#define KILLS 1
#endif

#define LAST_SEQ 7      /* stands for 0xffffffff: also odd, and soon reached */
#define FIRST_SEQ 6
#define GENERATIONS (STORES + 1)

/* struct shmconf_record: the generation, and two words that every store makes new. */
#define WORDS 3

#define SEQ 0
#define WORD(cell, i) (1 + (cell) * WORDS + (i))
#define NAME(g) (WORD(2, 0) + (g) - 1)
#define BODY(g) (NAME(GENERATIONS) + (g))
#define LOCATIONS (BODY(GENERATIONS) + 1)

byte memory[LOCATIONS];
byte buffered[LOCATIONS];
bit is_buffered[LOCATIONS];
byte buffers_used;

byte stores;                       /* tried ones: each has its own number */
byte generation_of[STORES + 2];    /* by that number */
bit kill;
bit has_initialised;

/* Process ids 0 to LOCATIONS - 1. */
active [LOCATIONS] proctype location()
{
end:
    do
    :: d_step {
        is_buffered[_pid] -> memory[_pid] = buffered[_pid]; buffered[_pid] = 0;
        is_buffered[_pid] = 0; buffers_used--
    }
    od
}

/* __atomic_store_n(.., __ATOMIC_RELAXED), linkat, unlinkat */
inline put(at, value)
{
    d_step { !is_buffered[at] -> buffered[at] = value; is_buffered[at] = 1; buffers_used++ }
}

/* __atomic_thread_fence(__ATOMIC_RELEASE), and what a release store waits for */
inline release()
{
    (buffers_used == 0)
}

/* daemon/region/head.c: head_store, store_cell */
inline head_store(g)
{
    d_step {
        stores++;
        generation_of[stores] = g;
        number = stores;
        next = s + 1;
        if
#ifdef WRAP_TO_0
        :: s == LAST_SEQ -> next = 0
#elif defined(WRAP_TO_1)
        :: s == LAST_SEQ -> next = 1
#else
        :: s == LAST_SEQ -> next = 2
#endif
        :: else
        fi;
#ifdef FILL_CURRENT
        cell = s & 1
#else
        cell = next & 1
#endif
    };
    put(WORD(cell, 0), g);
    put(WORD(cell, 1), number);
    put(WORD(cell, 2), number);
#ifndef RELAXED_SEQ
    release();
#endif
    put(SEQ, next);
#ifndef NO_STORE_FENCE
    release();
#endif
    s = next
}

/* daemon/region/file.c: region_file_write */
inline write_file(g)
{
    put(BODY(g), 1);
    put(NAME(g), 1)
}

/* daemon/region/entry.c: publish */
inline publish()
{
#ifdef SEQ_BEFORE_NAME
    head_store(generation + 1);
    write_file(generation + 1);
#else
    write_file(generation + 1);
#ifdef UNLINK_BEFORE_SEQ
    put(NAME(generation), 0);
#endif
    head_store(generation + 1);
#endif
    generation++;
    if
    :: generation > 2 -> put(NAME(generation - 2), 0)
    :: else
    fi
}

/* daemon/region/head.c: head_open; daemon/region/directory.c: region_directory_sweep */
inline take_over()
{
    (buffers_used == 0); /* the lock was handed over, and with it what the predecessor stored */
    d_step {
        s = memory[SEQ];
#ifdef TAKE_OTHER_CELL
        generation = memory[WORD(1 - (s & 1), 0)]
#else
        generation = memory[WORD(s & 1, 0)]
#endif
    };
    if
    :: generation < GENERATIONS && memory[NAME(generation + 1)] -> put(NAME(generation + 1), 0)
    :: else
    fi;
    if
    :: generation > 2 && memory[NAME(generation - 2)] -> put(NAME(generation - 2), 0)
    :: else
    fi
}

active proctype writer()
{
    byte s;          /* struct head: seq */
    byte generation; /* struct region_entry: record.generation */
    byte next, cell, number;
    d_step {
        memory[SEQ] = FIRST_SEQ;
        memory[WORD(FIRST_SEQ & 1, 0)] = 1;
        memory[NAME(1)] = 1;
        memory[BODY(1)] = 1;
        generation_of[0] = 1;
        has_initialised = 1
    };
start:
    {
        take_over();
        do
        :: stores < STORES -> publish()
        :: stores < STORES -> head_store(generation) /* region_entry_status */
        :: stores == STORES -> break
        od
    } unless {
        atomic { kill -> kill = 0; s = 0; generation = 0; next = 0; cell = 0; number = 0 };
        goto start
    }
}

active proctype killer()
{
    byte kills;
end:
    do
    :: atomic { kills < KILLS && has_initialised && !kill -> kill = 1; kills++ }
    od
}

/* include/shmconf/head.h: shmconf_head_copy, and what shmconf_follow does with its record */
active proctype reader()
{
    byte seq, again, guess;
    byte word[WORDS];
    bit has_seq, has_again, has_name;
    bit has_word[WORDS];
    byte newest;
copy:
    (has_initialised);
    d_step {
        seq = 0; again = 0; guess = 0; has_seq = 0; has_again = 0;
        word[0] = 0; word[1] = 0; word[2] = 0;
        has_word[0] = 0; has_word[1] = 0; has_word[2] = 0
    };
#ifdef NO_ACQUIRE
    /* A load that is not ordered may be done early, at an address that was guessed. */
    if
    :: guess = 0
    :: guess = 1
    fi;
#endif
    do
    :: d_step { !has_seq -> seq = memory[SEQ]; has_seq = 1 };
#ifdef NO_ACQUIRE
        if
        :: guess != (seq & 1) -> goto copy
        :: else
        fi
#else
        guess = seq & 1
#endif
#ifdef NO_ACQUIRE
#define MAY_LOAD true
#else
#define MAY_LOAD has_seq
#endif
    :: d_step { MAY_LOAD && !has_word[0] -> word[0] = memory[WORD(guess, 0)]; has_word[0] = 1 }
    :: d_step { MAY_LOAD && !has_word[1] -> word[1] = memory[WORD(guess, 1)]; has_word[1] = 1 }
    :: d_step { MAY_LOAD && !has_word[2] -> word[2] = memory[WORD(guess, 2)]; has_word[2] = 1 }
#ifdef NO_COPY_FENCE
#define MAY_RELOAD has_seq
#else
#define MAY_RELOAD (has_seq && has_word[0] && has_word[1] && has_word[2])
#endif
    :: d_step { MAY_RELOAD && !has_again -> again = memory[SEQ]; has_again = 1 }
    :: has_seq && has_word[0] && has_word[1] && has_word[2] && has_again -> break
    od;
    assert(seq != 0); /* never a valid head's */
    if
    :: seq != again -> goto copy
    :: else
    fi;

    /* Accepted: whole, and nothing that is older than before. */
    assert(word[1] == word[2] && word[0] == generation_of[word[1]]);
    assert(word[1] >= newest);
    newest = word[1];

    /* shmconf_switch */
#ifdef NO_RELOAD_FENCE
    again = memory[SEQ];
#endif
    has_name = memory[NAME(word[0])];
    if
    :: has_name -> assert(memory[BODY(word[0])])
    :: else ->
#ifndef NO_RELOAD_FENCE
        again = memory[SEQ];
#endif
        assert(again != seq); /* else a third party removed the file */
        goto copy
    fi;
    if
    :: stores == STORES -> skip
    :: goto copy
    fi
}
