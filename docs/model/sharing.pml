/* The sharing protocol: publish, attach, retire, claim, delete and gc, with kills at every step.

   Knows: one name of one store, the kernel's part in it, and what may go wrong. Must not know: bytes, sizes, columns.

   Each STEP is one step of the kernel; between any two of them any process may act or be killed. Steps are joined only
   where nobody could tell: the lock is taken in the step that it is taken for, and dropped in the last one under it;
   what changes under the lock alone is looked at in the same step; a nameless file is made and begun in one.

   PROMISES, numbered as in README.md; each assertion says which one it holds:
   1. A reader sees what it attached, whole, from the moment attach returned until it detaches.
   2. A published name leads to a whole segment at every instant until it is deleted; each put adds 1 to its version.
   3. A gc leaves the newest, its retained versions, spares of one name within the limit and drafts of living writers.
      Any other segment is free as soon as nobody has it open. A version that was deleted does not come back.
   4. No two writers write one segment.
   5. A put that is not killed keeps its draft until it has published it.

   MUTATIONS: each is one name to define, and breaks a promise. run.py holds the table. */

#ifndef WRITERS
#define WRITERS 2
#endif
#ifndef READERS
#define READERS 2
#endif
#ifndef PUTS
#define PUTS 3      /* in the whole run; one snapshot is there before */
#endif
#ifndef DELETES
#define DELETES 1
#endif
#ifndef GCS
#define GCS 1
#endif
#ifndef KILLS
#define KILLS 2     /* of writers; readers may be killed as often as they like */
#endif
#if WRITERS > 2 || READERS > 2 || PUTS > 3
#error the processes, and the loops over retained versions, are written out for so many
#endif
#ifndef LIMIT
#define LIMIT 1     /* of spares */
#endif

#define PROMISE(number, holds) assert((holds) || number == 0)

/* -- the kernel's books ------------------------------------------------------------------------------------------- */

#define NONE 0
#ifdef NO_TMPFILE
#define INODES (PUTS + 2)   /* one more for a draft that a gc took while it was made */
#else
#define INODES (PUTS + 1)
#endif

/* Inodes, from 1. One is free when it has no name, no open description and no lookup that found it. */
byte links[INODES + 1];
byte opens[INODES + 1];     /* open file descriptions: each lives until its descriptors and its mappings are gone */
byte lookups[INODES + 1];   /* path lookups that found it, whose open() has not counted yet */
byte flocked[INODES + 1];   /* the writer that has the flock */
byte writing[INODES + 1];   /* the writer that has begun to write it and has not sealed it */
byte content[INODES + 1];   /* its version, by which the model tells snapshots apart; 0: torn */
#ifdef LEASE_BEFORE_RENAME
bool proven[INODES + 1];
#endif

/* The directory: entry -> inode. A random name is the first that is free. */
#define NEWEST 0                            /* name.arrow */
#define STAGED 1                            /* .publish */
#define DRAFT 2                             /* .draft-<random> */
#define DRAFTS 4
#define SPARE (DRAFT + DRAFTS)              /* .spare-<random> */
#define SPARES 5
#define KEPT(version) (SPARE + SPARES + (version) - 1)  /* name@<version>.arrow */
#ifdef KEEP
#define ENTRIES KEPT(PUTS + 2)
#else
#define ENTRIES KEPT(1)
#endif
byte dir[ENTRIES];

/* How a trace calls an entry. */
mtype = { the_name, dot_publish, a_draft, a_spare, a_retained_version };
#define CALLED(entry) (entry == NEWEST -> the_name : (entry == STAGED -> dot_publish : \
    (entry < SPARE -> a_draft : (entry < KEPT(1) -> a_spare : a_retained_version))))

byte lock;                  /* the writer that has the store's lock */
byte fd[WRITERS + 1];       /* the inode a writer has open; it needs one descriptor at a time */

bool published = true;      /* the name was published and not deleted since */
byte deleted_at;            /* while it is deleted: the version it had. Real versions start at 1 again, and identities
                               tell them apart; here they count on */
#ifdef KEEP
byte erased;                /* the newest version that was ever deleted: none up to it may come back */
#endif
byte puts, deletes, gcs, kills;
/* Used inside one step, and so no part of the state; spin's search for the shortest trace cannot leave them out. */
#ifdef SHORTEST
byte i, j;
#else
hidden byte i, j;
#endif

#define VERSION (published -> content[dir[NEWEST]] : deleted_at)

inline free_if_unused(ino) {
    if
    :: !links[ino] && !opens[ino] && !lookups[ino] -> content[ino] = 0
    :: else
    fi
}

inline the_name_is_whole() {
    PROMISE(2, !published || (dir[NEWEST] && content[dir[NEWEST]]))
}

inline link(ino, entry) {
    assert(!dir[entry]);
    dir[entry] = ino;
    links[ino]++
}

inline unlink(entry) {
    links[dir[entry]]--;
    free_if_unused(dir[entry]);
    dir[entry] = NONE;
    the_name_is_whole()
}

/* Between two names of one file, rename does nothing: POSIX. */
inline rename(from, to) {
    if
    :: dir[from] != dir[to] ->
        if
        :: dir[to] -> links[dir[to]]--; free_if_unused(dir[to])
        :: else
        fi;
        dir[to] = dir[from];
        dir[from] = NONE
    :: else
    fi;
    the_name_is_whole()
}

inline first_free(first, count, entry) {
    entry = first;
    do
    :: entry < first + count && dir[entry] -> entry++
    :: else -> break
    od;
    assert(entry < first + count)           /* else the model has too few, not the protocol */
}

inline open(me, ino) {
    fd[me] = ino;
    opens[ino]++
}

inline open_new(me) {
    i = 1;
    do
    :: links[i] || opens[i] || lookups[i] -> i++
    :: else -> break
    od;
    assert(i <= INODES);
    open(me, i)
}

inline close(me) {
    opens[fd[me]]--;
    if
    :: flocked[fd[me]] == me -> flocked[fd[me]] = NONE
    :: else
    fi;
    if
    :: writing[fd[me]] == me -> writing[fd[me]] = NONE
    :: else
    fi;
    free_if_unused(fd[me]);
    fd[me] = NONE
}

/* The kernel takes all that a killed process has, in one step; names stay. Another process may begin in its place. */
inline kill() {
    kills++;
    printf("writer %d is killed\n", me);
    if
    :: lock == me -> lock = NONE
    :: else
    fi;
    if
    :: fd[me] -> close(me)
    :: else
    fi;
    draft = NONE;
    found = 0;
    keeping = false
}

#define KILLED d_step { kills < KILLS -> kill() }; goto idle
#define STEP(...) if :: d_step { __VA_ARGS__ } :: KILLED fi

/* -- what writers do; `me`, `draft` (an entry or NONE), `found` and `keeping` are the writer's own ----------------- */

inline remove(entry) {
    STEP(printf("writer %d unlinks %e, inode %d\n", me, CALLED(entry), dir[entry]); unlink(entry))
}

inline retire(entry) {
    STEP(
        printf("writer %d renames %e, inode %d, to a spare's name\n", me, CALLED(entry), dir[entry]);
        first_free(SPARE, SPARES, j); rename(entry, j)
    )
}

/* Open a spare: its link count is 1, under the lock for good, or it is left alone. */
#ifdef NO_LINK_COUNT_CHECK
#define FITS(entry) dir[entry]
#else
#define FITS(entry) (dir[entry] && links[dir[entry]] == 1)
#endif
#define OPEN_SPARE(k) d_step { \
        puts < PUTS && lock == NONE && FITS(SPARE + k) -> \
        puts++; lock = me; draft = SPARE + k; open(me, dir[draft]); \
        printf("writer %d takes the lock, and opens a spare, inode %d\n", me, fd[me]) \
    }

#if defined(NO_LEASE)
#define NOBODY_ELSE true
#elif defined(LEASE_BEFORE_RENAME)
#define NOBODY_ELSE proven[fd[me]]
#else
#define NOBODY_ELSE (opens[fd[me]] == 1)
#endif
#if defined(CLAIM_WITHOUT_RENAME)
#define CLAIMED skip
#elif defined(LEASE_BEFORE_RENAME)
#define CLAIMED proven[fd[me]] = false; RENAME_TO_DRAFT
#else
#define CLAIMED RENAME_TO_DRAFT
#endif
#define RENAME_TO_DRAFT first_free(DRAFT, DRAFTS, j); rename(draft, j); draft = j; \
    printf("writer %d renames it to a draft's name, and drops the lock\n", me)

/* Make a spare the draft; which one fits is open. Where somebody has it after all: make a new draft.
   Take the lease and drop it: one step, for whom it stops in between starts again, as if nothing had been. */
inline claim() {
    if
    :: d_step { NOBODY_ELSE -> printf("writer %d takes inode %d for unused\n", me, fd[me]) }
    :: d_step { !(NOBODY_ELSE) -> close(me); draft = NONE; lock = NONE }; goto making
    :: KILLED
    fi;
    STEP(
        flocked[fd[me]] = me; CLAIMED; lock = NONE
    )
}

/* O_TMPFILE: a nameless file, in which nobody can see the writing begin. Where there is none: a file with a draft's
   name, which its writer flocks in a second step. No lock is held. */
#ifdef NO_TMPFILE
#define MAKE_DRAFT \
    open_new(me); first_free(DRAFT, DRAFTS, draft); link(fd[me], draft); \
    printf("writer %d makes a draft, inode %d\n", me, fd[me])
#else
#define MAKE_DRAFT \
    open_new(me); writing[fd[me]] = me; FIND_VERSION_EARLY; \
    printf("writer %d makes a nameless file, inode %d, and begins to write it\n", me, fd[me])
#endif

inline flock_draft() {
    STEP(flocked[fd[me]] == NONE -> flocked[fd[me]] = me; printf("writer %d flocks it\n", me));
    if
    :: links[fd[me]]
    :: d_step { !links[fd[me]] -> close(me); draft = NONE }; goto making    /* a gc took it for abandoned */
    :: KILLED
    fi
}

/* The version is read under the lock. */
#ifdef VERSION_BEFORE_LOCK
#define FIND_VERSION_EARLY found = VERSION
#define FIND_VERSION skip
#else
#define FIND_VERSION_EARLY skip
#define FIND_VERSION found = VERSION
#endif
#define SEAL \
    content[fd[me]] = found + 1; writing[fd[me]] = NONE; \
    printf("writer %d seals inode %d as version %d\n", me, fd[me], found + 1)
#ifdef SEAL_AFTER_RENAME
#define SEAL_EARLY skip
#else
#define SEAL_EARLY SEAL
#endif

/* From its first byte to its seal a segment is torn. */
inline begin_to_write() {
    STEP(
        PROMISE(4, !writing[fd[me]]);
        writing[fd[me]] = me; content[fd[me]] = 0; FIND_VERSION_EARLY;
        printf("writer %d begins to write inode %d\n", me, fd[me]);
        the_name_is_whole()
    )
}

#define TAKE_LOCK_AND_SEAL(keep_it) d_step { \
        lock == NONE -> lock = me; printf("writer %d takes the lock\n", me); \
        FIND_VERSION; SEAL_EARLY; keeping = keep_it \
    }

/* The retained versions of a name that is deleted. */
inline remove_deleted() {
#ifdef KEEP
    do
    :: !published && dir[KEPT(1)] -> remove(KEPT(1))
    :: !published && dir[KEPT(2)] -> remove(KEPT(2))
    :: !published && dir[KEPT(3)] -> remove(KEPT(3))
    :: else -> break
    od
#else
    skip
#endif
}

inline stage() {
    if
    :: dir[STAGED] -> remove(STAGED)
    :: else
    fi;
    STEP(
        PROMISE(5, !draft || dir[draft] == fd[me]);
        if
        :: draft -> rename(draft, STAGED); draft = NONE
        :: else -> link(fd[me], STAGED)
        fi;
        printf("writer %d names inode %d .publish\n", me, fd[me])
    )
}

/* Before the rename over its name: the newest gets the name of a spare, or of a retained version, as its second. */
inline retire_newest() {
#ifdef LEASE_BEFORE_RENAME
    STEP(
        proven[dir[NEWEST]] = (opens[dir[NEWEST]] == 0);
        printf("writer %d tests by the lease that nobody has inode %d: %d\n", me, dir[NEWEST], proven[dir[NEWEST]])
    );
#endif
#ifdef RETIRE_BY_RENAME
    retire(NEWEST)
#else
#ifdef KEEP
    if
    :: keeping && dir[KEPT(VERSION)] ->
        STEP(j = KEPT(VERSION); unlink(j); printf("writer %d unlinks what a killed put left\n", me))
    :: else
    fi;
#endif
    STEP(
        if
        :: keeping -> j = KEPT(VERSION)
        :: else -> first_free(SPARE, SPARES, j)
        fi;
        link(dir[NEWEST], j);
        printf("writer %d links inode %d to %e\n", me, dir[NEWEST], CALLED(j))
    )
#endif
}

inline rename_over_the_name() {
    STEP(
        PROMISE(2, content[dir[STAGED]] == VERSION + 1);
        printf("writer %d renames .publish, inode %d, over the name\n", me, dir[STAGED]);
        published = true; deleted_at = 0;
        rename(STAGED, NEWEST)
    )
}

#ifdef KEEP_ALL
#define OLDER(version) (dir[KEPT(version)] && !keeping)
#else
#define OLDER(version) (dir[KEPT(version)] && !(keeping && VERSION == version + 1))
#endif

/* The retained versions but those that are kept: the one below the newest, or all. */
inline retire_older() {
#ifdef KEEP
    do
    :: OLDER(1) -> retire(KEPT(1))
    :: OLDER(2) -> retire(KEPT(2))
    :: OLDER(3) -> retire(KEPT(3))
    :: else -> break
    od
#else
    skip
#endif
}


#define IS_SPARE(k) (dir[SPARE + k] != NONE)
#define HAS_TWO_NAMES(k) (IS_SPARE(k) && links[dir[SPARE + k]] > 1)
#define COUNT (IS_SPARE(0) + IS_SPARE(1) + IS_SPARE(2) + IS_SPARE(3) + IS_SPARE(4))
#ifdef NO_TRIM
#define SURPLUS(k) (IS_SPARE(k) && COUNT > LIMIT)
#else
#define SURPLUS(k) (HAS_TWO_NAMES(k) || (IS_SPARE(k) && COUNT > LIMIT))
#endif
#define TRIM(k) d_step { \
        SURPLUS(k) -> \
        printf("writer %d trims a spare, inode %d\n", me, dir[SPARE + k]); unlink(SPARE + k) \
    }
#define TRIMMED (!SURPLUS(0) && !SURPLUS(1) && !SURPLUS(2) && !SURPLUS(3) && !SURPLUS(4))

#ifdef KEEP
#define IS_ERASED(version) PROMISE(3, !dir[KEPT(version)] || version > erased)
#define NONE_CAME_BACK IS_ERASED(1); IS_ERASED(2); IS_ERASED(3)
#else
#define NONE_CAME_BACK skip
#endif

/* One name at a time, and each link count is looked at anew. Any spare may be the oldest. */
inline trim_and_drop_lock() {
    do
    :: TRIM(0)
    :: TRIM(1)
    :: TRIM(2)
    :: TRIM(3)
    :: TRIM(4)
    :: d_step {
        TRIMMED ->
        PROMISE(3, !dir[STAGED]);
        PROMISE(3, COUNT <= LIMIT);
        j = SPARE;
        do
        :: j < SPARE + SPARES -> PROMISE(3, !dir[j] || links[dir[j]] == 1); j++
        :: else -> break
        od;
        do
        :: j < ENTRIES -> PROMISE(3, !dir[j] || published); j++
        :: else -> break
        od;
        NONE_CAME_BACK;
        printf("writer %d drops the lock\n", me);
        lock = NONE
    } -> break
    :: KILLED
    od
}

inline put() {
    if
    :: OPEN_SPARE(0)
    :: OPEN_SPARE(1)
    :: OPEN_SPARE(2)
    :: OPEN_SPARE(3)
    :: OPEN_SPARE(4)
    :: d_step { puts < PUTS -> puts++; MAKE_DRAFT }; goto made
    fi;
    claim();
    goto filling;
making:
    STEP(MAKE_DRAFT);
made:
#ifdef NO_TMPFILE
    flock_draft();
#else
    goto publishing;
#endif
filling:
    begin_to_write();
publishing:
    if
    :: TAKE_LOCK_AND_SEAL(false)
#ifdef KEEP
    :: TAKE_LOCK_AND_SEAL(true)
#endif
    :: KILLED
    :: d_step { /* It gives up: no room, a version that was not expected, an error of the caller's. */
        printf("writer %d gives up\n", me);
        if
        :: draft && dir[draft] == fd[me] -> unlink(draft)
        :: else
        fi;
        draft = NONE; found = 0
    }; goto closing
    fi;
#ifndef RETAIN_DELETED
    remove_deleted();
#endif
    stage();
    if
    :: published -> retire_newest()
    :: else
    fi;
    rename_over_the_name();
#ifdef SEAL_AFTER_RENAME
    STEP(SEAL);
#endif
    retire_older();
    trim_and_drop_lock();
closing:
    STEP(close(me); printf("writer %d closes its draft\n", me); keeping = false; found = 0)
}

/* Under the lock; where there are no retained versions, it is taken and dropped in the same step. The newest goes first:
   whoever is killed then leaves versions that nobody finds, because the name leads to nothing. */
#define DELETE \
    printf("writer %d deletes: renames the name, inode %d, to a spare's\n", me, dir[NEWEST]); \
    deleted_at = VERSION; ERASE; published = false; \
    first_free(SPARE, SPARES, j); rename(NEWEST, j)
#ifdef KEEP
#define ERASE erased = VERSION
#else
#define ERASE skip
#endif

inline delete() {
#ifdef KEEP
    d_step { deletes < DELETES && published && lock == NONE -> deletes++; lock = me };
    STEP(DELETE);
    retire_older();
    STEP(lock = NONE)
#else
    d_step { deletes < DELETES && published && lock == NONE -> deletes++; DELETE }
#endif
}

/* A draft is abandoned when its flock is to be had; it is unlinked before the flock is given back. */
#ifdef NO_DRAFT_LOCK
#define ABANDONED(k) (dir[DRAFT + k] != NONE)
#else
#define ABANDONED(k) (dir[DRAFT + k] && !flocked[dir[DRAFT + k]])
#endif
#define FLOCK_DRAFT(k) d_step { \
        ABANDONED(k) -> \
        draft = DRAFT + k; open(me, dir[draft]); found = fd[me]; \
        printf("writer %d finds a draft without a writer, inode %d\n", me, found); \
        if \
        :: !flocked[found] -> flocked[found] = me \
        :: else \
        fi \
    }
#define SWEPT (!ABANDONED(0) && !ABANDONED(1) && !ABANDONED(2) && !ABANDONED(3))

inline sweep_draft() {
#ifdef UNLOCK_BEFORE_UNLINK
    STEP(printf("writer %d gives the flock of inode %d back\n", me, found); close(me));
#endif
    STEP(
        if
        :: dir[draft] == found -> printf("writer %d unlinks the draft, inode %d\n", me, found); unlink(draft)
        :: else     /* its writer did */
        fi
    );
#ifndef UNLOCK_BEFORE_UNLINK
    STEP(close(me));
#endif
    draft = NONE; found = 0
}

inline gc() {
    d_step { gcs < GCS && lock == NONE -> gcs++; lock = me; printf("writer %d begins a gc\n", me) };
    if
    :: dir[STAGED] -> remove(STAGED)
    :: else
    fi;
    remove_deleted();
    do
    :: if
       :: FLOCK_DRAFT(0)
       :: FLOCK_DRAFT(1)
       :: FLOCK_DRAFT(2)
       :: FLOCK_DRAFT(3)
       fi;
       sweep_draft()
    :: d_step {
        SWEPT ->
        j = DRAFT;
        do
        :: j < DRAFT + DRAFTS -> PROMISE(3, !dir[j] || flocked[dir[j]]); j++
        :: else -> break
        od
    } -> break
    :: KILLED
    od;
    trim_and_drop_lock()
}

/* -- processes ---------------------------------------------------------------------------------------------------- */

proctype Writer(byte me) {
    byte draft, found;
    bool keeping;
end_idle:
idle:
    if
    :: put()
    :: delete()
    :: gc()
    fi;
    goto idle
}

/* A reader that is killed drops what it has in one step, as one that detaches does. */
#define FIND ino = dir[entry]; lookups[ino]++; printf("reader %d looks it up and finds inode %d\n", me, ino)
#define DROP free_if_unused(ino); ino = NONE; entry = NONE; seen = 0
#define READ_SEAL seen = content[ino]; printf("reader %d reads the seal of inode %d: version %d\n", me, ino, seen)
#ifdef NO_NAME_CHECK
#define LEADS_TO_IT true
#else
#define LEADS_TO_IT (dir[entry] == ino)
#endif
#ifdef MAPPING_NOT_COUNTED
#define MAP opens[ino]--; lookups[ino]++    /* it still keeps the inode, but the lease does not see it */
#define UNMAP lookups[ino]--
#else
#define MAP skip
#define UNMAP opens[ino]--
#endif

proctype Reader(byte me) {
    byte entry, ino, seen;
end_idle:
idle:
    /* open(): the lookup ... */
    if
    :: d_step { dir[NEWEST] -> entry = NEWEST; FIND }
#ifdef KEEP
    :: d_step { dir[KEPT(1)] -> entry = KEPT(1); FIND }
    :: d_step { dir[KEPT(2)] -> entry = KEPT(2); FIND }
    :: d_step { dir[KEPT(3)] -> entry = KEPT(3); FIND }
#endif
    fi;
    /* ... and its completion, or EAGAIN, or the end of the reader. */
    if
    :: d_step { lookups[ino]--; opens[ino]++; printf("reader %d has inode %d open\n", me, ino) }
    :: d_step { lookups[ino]--; DROP }; goto idle
    fi;
#ifdef CHECK_AFTER_READ
    d_step { READ_SEAL };
#endif
    /* The name check, and then the seal: whoever could change it in between could as well change it afterwards. */
    if
    :: d_step {
        LEADS_TO_IT -> printf("reader %d finds that the name leads to inode %d, and attaches it\n", me, ino);
#ifndef CHECK_AFTER_READ
        READ_SEAL;
#endif
        PROMISE(1, entry == NEWEST || KEPT(seen) == entry);
        MAP
    }
    :: d_step { opens[ino]--; DROP }; goto idle
    fi;
    do
    :: PROMISE(1, seen && content[ino] == seen)     /* it looks at what it attached */
    :: d_step { UNMAP; DROP }; goto idle
    od
}

init {
    d_step { dir[NEWEST] = 1; links[1] = 1; content[1] = 1 };
    atomic {
        run Writer(1);
        if
        :: WRITERS > 1 -> run Writer(2)
        :: else
        fi;
        if
        :: READERS > 0 -> run Reader(1)
        :: else
        fi;
        if
        :: READERS > 1 -> run Reader(2)
        :: else
        fi
    }
}
