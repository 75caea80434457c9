/* The protocol of growing tables: append, roll over, retain, recover, and readers, with kills at every step.

   Knows: one growing table, its head, its segments, one lock, and the kernel's part in it. With SHARED, producers take
   turns: each keeps what it knows of the table while another one writes, and the head's number of turns tells it
   whether that is still right.
   Does not depend on: bytes, columns, text, dictionaries. Stores are seen in their order here; tests/litmus checks
   processors that reorder them.

   Each STEP is one store that others can see, or one system call; between any two of them any process may act, or the
   producer may be killed. A row is two things: a value, and one bit of a byte that it shares with its neighbours.

   PROMISES, numbered as in README.md; each assertion says which one it holds:
   1. Rows below the count that a reader has read keep the values they were published with until it lets them go.
   2. Every retained row has a segment that can be opened, at every instant; the number of rows never falls.
   3. After recovery and after close there are the retained segments, spares within the limit, and nothing else.
   4. One producer at a time writes, and the next one can always go on where the last one was killed.
   5. What the file says to readers of Arrow is published, and those rows keep their values too.

   MUTATIONS: each is one name to define, and breaks a promise. run.py holds the table. */

#ifndef READERS
#define READERS 1
#endif
#ifndef FOREIGN
#define FOREIGN 1   /* readers of Arrow files, which know the footer and not the head */
#endif
#ifndef ROWS
#define ROWS 6      /* in the whole run */
#endif
#ifndef KILLS
#define KILLS 1
#endif
#ifndef PRODUCERS
#define PRODUCERS 2
#endif
#define CAPACITY 2  /* rows of a segment; they share one byte of bits */
#define RETAIN 2    /* rows */
#define BATCH 2     /* rows, at most */
#define PLACES (ROWS / CAPACITY + 1)
#define INODES (PLACES + 2)
#define NONE 0

#define PROMISE(number, holds) assert((holds) || number == 0)

/* -- the head ----------------------------------------------------------------------------------------------------- */

byte committed;             /* rows ever published */
byte first;                 /* the oldest retained row */
byte begun = 1;             /* entries in use; the first segment comes with the head */
byte entry[PLACES + 1];     /* the place of the segment: its first row / CAPACITY */

/* -- files: inodes from 1, names of segments by their place, one name for a spare ---------------------------------- */

byte dir[PLACES + 1];
byte spare;
byte names[INODES + 1];
byte opens[INODES + 1];     /* readers that have it open or mapped */
byte lookups[INODES + 1];   /* readers whose look-up found it and whose open() has not counted yet */
bool made[INODES + 1];      /* a producer has it without a name */
byte shown[INODES + 1];     /* rows that its footer declares */

typedef Rows { byte value[CAPACITY]; bit flag[CAPACITY] };
Rows file[INODES + 1];

byte lock;                  /* the producer that has it */
byte kills;

/* What was published. It is no part of the protocol: promises compare with it. A flag is the value less 1. */
byte published[ROWS];

/* The head's number of turns. It never returns to an older value, so all that matters is who finds its own last number
   there: the producer that stored it last, if it has remembered it. */
bool knows[PRODUCERS + 1];
#ifdef SHARED
byte states[INODES + 1];    /* footers that the file has */
#endif

#ifdef SHORTEST
byte i, j, k;
#else
hidden byte i, j, k;        /* used inside one step */
#endif

#define ROW(r) file[dir[(r) / CAPACITY]].value[(r) % CAPACITY]
#define SAME(ino, r) (file[ino].value[(r) % CAPACITY] == published[r] && \
    file[ino].flag[(r) % CAPACITY] == published[r] - 1)

#ifdef SHARED
#define NO_STATES(ino) states[ino] = 0
#else
#define NO_STATES(ino) skip
#endif

inline free_if_unused(ino) {
    if
    :: !names[ino] && !opens[ino] && !lookups[ino] && !made[ino] ->
        shown[ino] = 0; NO_STATES(ino);
        j = 0;
        do
        :: j < CAPACITY -> file[ino].value[j] = 0; file[ino].flag[j] = 0; j++
        :: else -> break
        od;
        j = 0
    :: else
    fi
}

inline has_entry(place) {   /* j: whether one of the entries in use leads to the place */
    i = 0; j = 0;
    do
    :: i < begun -> if :: entry[i] == place -> j = 1 :: else fi; i++
    :: else -> break
    od;
    i = 0
}

inline retained_is_there() {
    i = first / CAPACITY;
    do
    :: i * CAPACITY < committed -> PROMISE(2, dir[i]); i++
    :: else -> break
    od;
    i = 0
}

inline all_tidy() {
    k = 0;
    do
    :: k < PLACES ->
        has_entry(k);
        PROMISE(3, (dir[k] != NONE) == (j && k * CAPACITY >= first)); k++
    :: else -> break
    od;
    k = 0
}

/* The kernel takes what a killed process has, in one step. Names and what was stored stay. */
inline kill() {
    kills++;
    printf("producer %d is killed\n", me);
    if
    :: lock == me -> lock = NONE
    :: else
    fi;
    if
    :: mine -> made[mine] = false; free_if_unused(mine)
    :: else
    fi;
    knows[me] = false; mine = NONE; row = 0; end = 0; value = 0; kept = 0; count = 0; last = 0; slot = 0
}

#define KILLED d_step { kills < KILLS -> kill() }; goto idle
#define STEP(...) if :: d_step { __VA_ARGS__ } :: KILLED fi

/* -- the producer; `row`, `end`, `value`, `mine` and `kept` are its own -------------------------------------------- */

/* What it knows of the table: the number of rows, the last segment, and how many footers that has. */
#ifdef SHARED
#define REMEMBER count = committed; last = LAST; slot = states[dir[LAST]]; knows[me] = true
#else
#define REMEMBER count = committed; last = LAST
#endif
#define FORGET count = 0; last = 0; slot = 0; knows[me] = false

#define LAST entry[begun - 1]
#define DROP_ENTRY begun--; printf("producer %d drops the entry of segment %d\n", me, entry[begun])

inline retire(place) {      /* a name that readers no longer need: a spare's, or none */
    STEP(
        if
        :: !dir[place]
        :: dir[place] && !spare -> spare = dir[place]; dir[place] = NONE;
            printf("producer %d makes segment %d, inode %d, a spare\n", me, place, spare)
        :: dir[place] && spare -> printf("producer %d unlinks segment %d, inode %d\n", me, place, dir[place]);
            names[dir[place]]--; free_if_unused(dir[place]); dir[place] = NONE
        fi;
        retained_is_there()
    )
}

#define NEXT_FIRST first = first + CAPACITY; printf("producer %d stores first: %d\n", me, first)

inline retention() {
    do
    :: first + CAPACITY + RETAIN <= committed ->
#ifdef FIRST_AFTER_RENAME
        retire(first / CAPACITY);
        STEP(NEXT_FIRST)
#else
        STEP(NEXT_FIRST);
        retire(first / CAPACITY - 1)
#endif
    :: else -> break
    od
}

/* A new footer, which must not be where one is already, and its length: one store. */
#ifdef SHARED
#define NEW_FOOTER(place) \
    if \
    :: place == last -> PROMISE(5, slot >= states[dir[place]]); slot++; states[dir[place]] = slot \
    :: else -> states[dir[place]]++     /* it has looked what is there */ \
    fi
#define FIRST_FOOTER slot = 1
#else
#define NEW_FOOTER(place) skip
#define FIRST_FOOTER skip
#endif

inline declare_rows(place, rows) {
    if
    :: dir[place] && shown[dir[place]] != (rows) ->
        STEP(
            NEW_FOOTER(place);
            shown[dir[place]] = rows;
            printf("producer %d shows %d rows of segment %d\n", me, shown[dir[place]], place)
        )
    :: else
    fi
}

#define WHOLE(place) declare_rows(place, CAPACITY)

inline recover() {
    d_step { FORGET };
    do
#ifndef KEEP_ENTRIES
    :: LAST * CAPACITY > committed -> STEP(DROP_ENTRY)
#else
    :: false
#endif
    :: else -> break
    od;
    row = 0;
    do
    :: row < first / CAPACITY ->
        if
        :: dir[row] -> retire(row)
        :: else
        fi;
        row++
    :: else -> break
    od;
#ifndef NO_SWEEP
    row = 0;
    do
    :: row < PLACES ->
        d_step { has_entry(row); kept = (dir[row] && !j) };
        if
        :: kept ->
            STEP(
                printf("producer %d unlinks segment %d, which has no entry\n", me, row);
                names[dir[row]]--; free_if_unused(dir[row]); dir[row] = NONE
            )
        :: else
        fi;
        row++
    :: else -> break
    od;
#endif
    row = 0; kept = 0;
    d_step { REMEMBER };
    retention();
    if
    :: begun > 1 -> WHOLE(last - 1)
    :: else
    fi
}

/* The turns of producers that share the table. The number is stored before anything is written, so whoever is killed
   after that leaves a number that nobody knows. */
#if defined(TURNS_BY_COUNT)
#define IS_BEHIND (count != committed || last != LAST)
#elif defined(NO_TURNS)
#define IS_BEHIND false
#else
#define IS_BEHIND !knows[me]
#endif
#define STORE_TURN \
    kept = knows[me]; knows[1] = false; knows[PRODUCERS] = false; knows[me] = kept; kept = 0; \
    printf("producer %d stores its turn\n", me)

inline begin_turn() {
#ifndef TURN_LAST
    STEP(STORE_TURN);
#endif
    if
    :: IS_BEHIND -> recover()
    :: else
    fi
}

inline end_turn() {
#ifdef TURN_LAST
    STEP(STORE_TURN);
#endif
    d_step { all_tidy(); lock = NONE; printf("producer %d ends its turn\n", me) }
end_turns:
    if
    :: d_step { lock == NONE -> lock = me; printf("producer %d takes its turn\n", me) }
    :: KILLED
    fi;
    begin_turn()
}

#if defined(REUSE_WITHOUT_LEASE)
#define NOBODY_HAS(ino) true
#else
#define NOBODY_HAS(ino) (opens[ino] == 0)
#endif
#ifdef SHARED
#define ONE_STATE(ino) states[ino] = 1
#else
#define ONE_STATE(ino) skip
#endif
#define EMPTY_STATE shown[mine] = 0; ONE_STATE(mine); printf("producer %d writes a state of 0 rows to inode %d\n", me, mine)
#define NAME_IT \
    if :: spare == mine -> spare = NONE :: else -> names[mine]++; made[mine] = false fi; \
    dir[(row) / CAPACITY] = mine; printf("producer %d names inode %d segment %d\n", me, mine, row / CAPACITY)
#define ENTER entry[begun] = row / CAPACITY; printf("producer %d writes the entry of segment %d\n", me, row / CAPACITY)

inline roll_over() {
    if
    :: d_step { spare && NOBODY_HAS(spare) -> mine = spare;
        printf("producer %d takes the spare, inode %d, for unused\n", me, mine) }
    :: d_step {
        i = 1;
        do
        :: names[i] || opens[i] || lookups[i] || made[i] -> i++
        :: else -> break
        od;
        assert(i <= INODES); mine = i; made[i] = true }
    :: KILLED
    fi;
#ifndef NAME_BEFORE_EMPTY_STATE
    STEP(EMPTY_STATE);
#endif
#ifdef ENTRY_BEFORE_NAME
    STEP(ENTER);
    STEP(begun++);
    STEP(NAME_IT);
#else
    STEP(NAME_IT);
#ifdef NAME_BEFORE_EMPTY_STATE
    STEP(EMPTY_STATE);
#endif
    STEP(ENTER);
    STEP(begun++);
#endif
    d_step { mine = NONE; last = row / CAPACITY; FIRST_FOOTER }
}

/* One store of a byte: the bits of published rows are kept, those of later rows are cleared. */
#define FLAG(r) file[dir[row / CAPACITY]].flag[r]
#if defined(OR_BITS)
#define NEW_FLAG(r) FLAG(r) = FLAG(r) | (value - 1)
#else
#define NEW_FLAG(r) FLAG(r) = value - 1
#endif
#define IN_BATCH(r) (row - row % CAPACITY + r >= count && row - row % CAPACITY + r <= row)
#define AFTER_BATCH(r) (row - row % CAPACITY + r > row)
#if defined(OR_BITS)
#define CLEAR_REST skip
#else
#define CLEAR_REST if :: AFTER_BATCH(1) -> FLAG(1) = 0 :: else fi
#endif

inline write_flags() {
#ifdef CLEAR_THEN_FILL
    STEP(kept = FLAG(0); FLAG(0) = 0; FLAG(1) = 0);
    STEP(
        if :: IN_BATCH(0) -> NEW_FLAG(0) :: else -> FLAG(0) = kept fi;
        if :: IN_BATCH(1) -> NEW_FLAG(1) :: else fi;
        kept = 0
    )
#else
    STEP(
        if :: IN_BATCH(0) -> NEW_FLAG(0) :: else fi;
        if :: IN_BATCH(1) -> NEW_FLAG(1) :: else fi;
        CLEAR_REST;
        printf("producer %d writes the bits of segment %d\n", me, row / CAPACITY)
    )
#endif
}

inline write_rows() {
    row = count;
    do
    :: row < end ->
        if
        :: row == (last + 1) * CAPACITY -> roll_over()
        :: else
        fi;
        STEP(
            PROMISE(4, lock == me);
            PROMISE(4, last == row / CAPACITY && dir[last]);
            ROW(row) = value; printf("producer %d writes row %d: %d\n", me, row, value)
        );
        if
        :: row + 1 == end || (row + 1) % CAPACITY == 0 -> write_flags()
        :: else
        fi;
        row++
    :: else -> break
    od;
    row = 0
}

/* The one store that publishes. */
inline publish() {
    STEP(
        i = committed;
        do
        :: i < end -> published[i] = value; i++
        :: else -> break
        od;
        PROMISE(2, end > committed);
        committed = end; count = end; retained_is_there();
        printf("producer %d publishes %d rows\n", me, committed)
    )
}

inline append() {
    if
    :: d_step { count + 1 <= ROWS -> end = count + 1 }
    :: d_step { count + BATCH <= ROWS -> end = count + BATCH }
    fi;
    if
    :: value = 1
    :: value = 2
    fi;
#if defined(PUBLISH_BEFORE_ROWS)
    d_step { kept = count };
    publish();
    row = kept;
    do
    :: row < end ->
        if
        :: row == (last + 1) * CAPACITY -> roll_over()
        :: else
        fi;
        STEP(ROW(row) = value; FLAG(row % CAPACITY) = value - 1);
        row++
    :: else -> break
    od;
    row = 0; kept = 0;
#elif defined(SHOW_BEFORE_PUBLISH)
    write_rows();
    declare_rows(last, end - last * CAPACITY);
    publish();
#else
    write_rows();
    publish();
#endif
    end = 0; value = 0;
    if
    :: declare_rows(last, count - last * CAPACITY)
    :: skip
    fi;
    if
    :: begun > 1 -> WHOLE(last - 1)
    :: else
    fi;
    retention()
}

proctype Producer(byte me) {
    byte row, end, value, mine, kept;
    byte count, last, slot;
end_idle:
idle:
    if
#ifdef NO_LOCK
    :: d_step { lock = me; printf("producer %d begins without the lock\n", me) }
#else
    :: d_step { lock == NONE -> lock = me; printf("producer %d takes the lock\n", me) }
#endif
    fi;
#ifdef SHARED
    STEP(STORE_TURN);
#endif
    recover();
    STEP(all_tidy(); PROMISE(4, LAST * CAPACITY <= committed && committed <= (LAST + 1) * CAPACITY));
end_open:
    do
#ifdef SHARED
    :: if
       :: append()
       :: printf("producer %d flushes\n", me); declare_rows(last, count - last * CAPACITY)
       fi;
       end_turn()
#else
    :: append()
#endif
    :: declare_rows(last, count - last * CAPACITY);
       d_step { all_tidy(); lock = NONE; FORGET; printf("producer %d closes\n", me) }; goto idle
    :: KILLED
    od
}

/* -- readers ------------------------------------------------------------------------------------------------------ */

#ifdef OPEN_WITHOUT_NAME_CHECK
#define LEADS_TO_IT(place, ino) true
#else
#define LEADS_TO_IT(place, ino) (dir[place] == ino)
#endif

/* It has the whole table: every retained row below the count that it read. */
proctype Reader(byte me) {
    byte count, from, at;
    byte held[PLACES + 1];
end_idle:
idle:
    if
    :: d_step { committed > 0 -> count = committed; printf("reader %d reads the count: %d\n", me, count) }
    fi;
    d_step { from = first; at = from / CAPACITY; printf("reader %d reads first: %d\n", me, from) };
    do
    :: at * CAPACITY < count ->
        if
        :: d_step { dir[at] -> held[at] = dir[at]; lookups[held[at]]++;
            has_entry(at); PROMISE(2, j);
            printf("reader %d looks up segment %d and finds inode %d\n", me, at, held[at]) }
        :: !dir[at] -> goto again       /* retention was faster */
        fi;
        d_step { lookups[held[at]]--; opens[held[at]]++; printf("reader %d has inode %d open\n", me, held[at]) };
        if
        :: d_step { LEADS_TO_IT(at, held[at]) -> at++ }
        :: !LEADS_TO_IT(at, held[at]) -> goto again
        fi
    :: else -> break
    od;
    do
    :: d_step {
        at = from;
        do
        :: at < count -> PROMISE(1, SAME(held[at / CAPACITY], at)); at++
        :: else -> break
        od;
        at = 0 }
    :: goto again
    od;
again:
    if
    :: d_step {
        at = 0;
        do
        :: at <= PLACES ->
            if
            :: held[at] -> opens[held[at]]--; free_if_unused(held[at]); held[at] = NONE
            :: else
            fi;
            at++
        :: else -> break
        od;
        at = 0; count = 0; from = 0 }
    fi;
    goto idle
}

/* It opens one file and reads its footer first. */
proctype Foreign(byte me) {
    byte place, ino, count, at;
end_idle:
idle:
    do
    :: place + 1 < PLACES -> place++
    :: break
    od;
    if
    :: d_step { dir[place] -> ino = dir[place]; lookups[ino]++;
        printf("foreign %d looks up segment %d and finds inode %d\n", me, place, ino) }
    :: !dir[place] -> place = 0; goto idle
    fi;
    d_step { lookups[ino]--; opens[ino]++; printf("foreign %d has inode %d open\n", me, ino) };
    if
    :: d_step { LEADS_TO_IT(place, ino) -> count = shown[ino];
        printf("foreign %d reads a footer of %d rows\n", me, count) }
    :: !LEADS_TO_IT(place, ino) -> goto again
    fi;
    do
    :: d_step {
        PROMISE(5, !count || place * CAPACITY + count <= committed);
        at = place * CAPACITY;
        do
        :: at < place * CAPACITY + count -> PROMISE(5, SAME(ino, at)); at++
        :: else -> break
        od;
        at = 0 }
    :: goto again
    od;
again:
    if
    :: d_step { opens[ino]--; free_if_unused(ino); ino = NONE; place = 0; count = 0 }
    fi;
    goto idle
}

init {
    d_step { dir[0] = 1; names[1] = 1 };
    atomic {
        run Producer(1);
        if
        :: PRODUCERS > 1 -> run Producer(2)
        :: else
        fi;
        if
        :: READERS > 0 -> run Reader(1)
        :: else
        fi;
        if
        :: READERS > 1 -> run Reader(2)
        :: else
        fi;
        if
        :: FOREIGN > 0 -> run Foreign(1)
        :: else
        fi
    }
}
