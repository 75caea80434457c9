/* The fetch protocol: one transfer for a host, whoever is killed, and copies that are removed for room.

   Knows: one snapshot that the processes of one host want, the kernel's part in it, and what may go wrong. Does not
   depend on: how bytes travel, other snapshots, which host sends.

   Each STEP is one step of the kernel; between any two of them any process may act or be killed. A killed process is
   replaced by one that begins anew.

   PROMISES; each assertion says which one it holds:
   1. What a process opened is a whole snapshot, and stays so until it closes it.
   2. While a copy is kept, no bytes travel again; never do two processes transfer at once.
   3. When all processes are done, no draft and no locked file is left.
   Besides, spin finds no end state in which a process still waits: nobody waits for one that was killed.

   MUTATIONS: each is one name to define, and breaks a promise. run.py holds the table. */

#ifndef FETCHERS
#define FETCHERS 3
#endif
#ifndef KILLS
#define KILLS 2
#endif
#ifndef CLEANS
#define CLEANS 1    /* how often room is needed: a copy that nobody has open is removed */
#endif
#if FETCHERS > 3
#error the processes are written out for so many
#endif

#define PROMISE(number, holds) assert((holds) || number == 0)
#define NONE 0
#define FILES 7     /* of the lock: each that is made is another inode */
#define COPIES 7

/* -- the kernel's books ------------------------------------------------------------------------------------------- */

byte lock_name;                 /* the inode that fetch-<identity> leads to */
byte lock_made;                 /* how many were made */
byte lock_holder[FILES + 1];    /* who has it locked */
byte lock_opens[FILES + 1];

byte copy_name;                 /* the inode that copy-<identity> leads to */
byte copy_made;
byte content[COPIES + 1];       /* 0: nothing; 1: a part; 2: the whole snapshot */
byte holders[COPIES + 1];       /* shared locks: processes that have it open */

byte transfers;                 /* that run */
byte drafts;                    /* that exist, with a name or without */
bool kept;                      /* a whole copy has had its name since the last removal */
byte kills, cleans, finished;

#define OPEN_COPY(me) cp = copy_name; holders[cp]++; printf("fetcher %d opens copy %d\n", me, cp)

inline make_lock() {
    if
    :: lock_name == NONE -> lock_made++; lock_name = lock_made
    :: else
    fi;
    lk = lock_name; lock_opens[lk]++;
    printf("fetcher %d opens lock file %d\n", me, lk)
}

/* The kernel drops what a process has, in one step. */
inline die() {
    if
    :: lk && lock_holder[lk] == me -> lock_holder[lk] = NONE
    :: else
    fi;
    if
    :: lk -> lock_opens[lk]--
    :: else
    fi;
    if
    :: sending -> transfers--
    :: else
    fi;
#ifndef NAMED_DRAFT
    if
    :: draft && copy_name != draft -> drafts--; content[draft] = 0
    :: else
    fi;
#endif
    if
    :: cp -> holders[cp]--
    :: else
    fi;
    lk = NONE; cp = NONE; draft = NONE; sending = false;
    printf("fetcher %d is killed\n", me)
}
#define KILL :: d_step { kills < KILLS -> kills++; die() } goto again

proctype Fetcher(byte me) {
    byte lk, cp, draft;
    bool sending;
again:
    /* Look for a copy: open it, and lock it shared. */
    if
    :: d_step { copy_name -> OPEN_COPY(me) } goto use
    :: d_step { copy_name == NONE -> printf("fetcher %d finds no copy\n", me) }
    KILL
    fi;
    /* The file of the fetch: open or make it, lock it, and see that its name still leads to it. */
relock:
    if
    :: d_step { true -> make_lock() }
    KILL
    fi;
#ifndef NO_FETCH_LOCK
    if
    :: d_step { lock_holder[lk] == NONE -> lock_holder[lk] = me; printf("fetcher %d has lock file %d\n", me, lk) }
    KILL
    fi;
#ifndef NO_LOCK_NAME_CHECK
    if
    :: d_step { lock_name != lk -> lock_holder[lk] = NONE; lock_opens[lk]--; lk = NONE } goto relock
    :: d_step { lock_name == lk -> skip }
    KILL
    fi;
#endif
#endif
#ifndef NO_SECOND_LOOK
    /* Look again: the one before may have placed it. */
    if
    :: d_step { copy_name -> OPEN_COPY(me) } goto unlink
    :: d_step { copy_name == NONE -> skip }
    KILL
    fi;
#endif
    /* A draft without a name, and the transfer. */
    if
    :: d_step {
        true -> copy_made++; draft = copy_made; drafts++; sending = true; transfers++;
        PROMISE(2, transfers == 1);
        PROMISE(2, !kept);
        content[draft] = 1;
        printf("fetcher %d receives draft %d\n", me, draft)
    }
    KILL
    fi;
#ifdef NAME_BEFORE_BYTES
    d_step { copy_name = draft };
#endif
    if
    :: d_step { sending -> content[draft] = 2; sending = false; transfers--; printf("fetcher %d has it whole\n", me) }
#ifdef NO_CHECK_OF_LENGTH
    :: d_step { sending -> sending = false; transfers--; printf("fetcher %d loses the connection\n", me) }
#endif
    KILL
    fi;
#ifdef UNLOCK_BEFORE_NAME
    d_step { lock_holder[lk] = NONE };
#endif
    /* It gets its name, held: its shared lock is older than the name. */
    if
    :: d_step {
        true -> copy_name = draft; drafts--; kept = true; cp = draft;
#ifndef HOLD_AFTER_NAME
        holders[cp]++;
#endif
        printf("fetcher %d places copy %d\n", me, cp)
    }
    KILL
    fi;
#ifdef HOLD_AFTER_NAME
    d_step { draft = NONE; holders[cp]++ };
#else
    draft = NONE;
#endif
unlink:
    /* Remove the file of the fetch, and then unlock it: whoever waits for it sees that its name is gone. */
    if
#ifdef UNLOCK_FIRST
    :: d_step { true -> lock_holder[lk] = NONE }
#else
    :: d_step { true -> lock_name = NONE }
#endif
    KILL
    fi;
    if
#ifdef UNLOCK_FIRST
    :: d_step { true -> lock_name = NONE; lock_opens[lk]--; lk = NONE }
#else
    :: d_step { true -> lock_holder[lk] = NONE; lock_opens[lk]--; lk = NONE }
#endif
    KILL
    fi;
use:
    PROMISE(1, content[cp] == 2);
    if
    :: d_step { true -> PROMISE(1, content[cp] == 2); holders[cp]--; cp = NONE; finished++ }
    KILL
    fi
}

/* A put or another fetch that needs room removes a copy that nobody has open; what is open stays readable. */
proctype Cleaner() {
end_idle:
    do
    :: d_step {
        cleans < CLEANS && copy_name && holders[copy_name] == 0 ->
        content[copy_name] = 0; copy_name = NONE; kept = false; cleans++;
        printf("cleaner removes the copy\n")
    }
    od
}

proctype Watch() {
end_idle:
    d_step {
        finished == FETCHERS ->
        PROMISE(3, drafts == 0);
        PROMISE(3, transfers == 0);
        PROMISE(3, lock_holder[1] == NONE && lock_holder[2] == NONE && lock_holder[3] == NONE);
        PROMISE(3, lock_holder[4] == NONE && lock_holder[5] == NONE && lock_holder[6] == NONE)
    }
}

init {
    atomic {
        run Fetcher(1);
        run Fetcher(2);
        if
        :: FETCHERS > 2 -> run Fetcher(3)
        :: else
        fi;
        run Cleaner();
        run Watch()
    }
}
