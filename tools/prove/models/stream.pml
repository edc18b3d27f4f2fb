/*
 * One stream between two processes: demand, parking, the two ends, and the death of either side at any step.
 *
 * What is a step here is one access to a shared word (spin interleaves these as if memory had one order; that the orders written
 * in the code suffice for it is what the models of loom show). Sleeps have no bound, so that a wake-up that is missed is a
 * deadlock; in the code it would be late by 100 ms. Time does not exist: a death is noticed some time.
 *
 * The producer puts N elements and completes. The consumer takes them, works on each, releases it, and may cancel at any time. Up to DEATHS
 * deaths happen, of whom and when spin pleases. With RESUMABLE a consumer that died has a successor, which goes on at what was
 * released; without, the producer learns that it is alone. A producer has no successor: a new one is another stream.
 *
 * BUG_... leaves out, or puts in the wrong place, one thing; spin must then find what it is there for.
 */

#ifndef N
#define N 4
#endif
#ifndef BUFFER
#define BUFFER 1
#endif
#ifndef WINDOW
#define WINDOW 2
#endif
#ifndef DEATHS
#define DEATHS 2
#endif
#define CAP (BUFFER + WINDOW)

#ifdef BUG_LIMIT
#define SLACK (BUFFER + 1)
#else
#define SLACK BUFFER
#endif

/* The stream's page and area. Elements are numbered from 1, so that an empty slot is none. */
byte slot[CAP];
byte stamp;
byte ending;                        /* 0 open, 1 completed */
bool waits;                         /* the producer is parked */
/* The consumer's page. */
byte granted, released;
bool sleeps, closed;
/* The bells, which also hang up, and what the background threads tell the endpoints of their own process. */
bool bell_p, bell_c;
bool told_c_is_gone, told_p_is_gone;

bool dead_p, dead_c;                /* killed */
bool buried;                        /* the consumer that was killed runs no more */
bool p_over, c_over;
byte deaths;
/* How the consumer found the stream ended. */
mtype = { NOT, COMPLETED, PEER_GONE, CANCELLED };
mtype found = NOT;

/* What the assertions compare with; no code has these words. */
byte most_granted;                  /* ever, by any consumer of this stream */
byte acknowledged;                  /* released, by any consumer */
bool worked[N];                     /* a consumer was done with it */

inline publish(i) {
#ifdef BUG_STAMP_FIRST
    stamp = i + 1;
    slot[i % CAP] = i + 1;
#else
    slot[i % CAP] = i + 1;
    stamp = i + 1;
#endif
    assert(stamp <= most_granted + BUFFER);
}

inline ring_consumer() {
    if
    :: sleeps -> bell_c = true
    :: else
    fi
}

inline ring_producer() {
#ifndef BUG_NO_RING
    if
    :: waits -> bell_p = true
    :: else
    fi
#else
    skip
#endif
}

proctype Producer() {
    byte i = 0;
    bool was_closed;
    {
        do
        :: i == N -> break
        :: i < N ->
put:        if
            :: closed -> goto over
            :: told_c_is_gone -> goto over
            :: else
            fi;
            if
            :: i < granted + SLACK ->
                was_closed = closed;
                publish(i);
                ring_consumer();
#ifndef BUG_NO_LOOK
                /* One look after the put: what was put while the consumer closed is taken back. */
                if
                :: closed && released <= i -> goto over
                :: else
                fi;
#endif
                /* It is accepted. */
                assert(!was_closed);
                i++
            :: else ->
                waits = true;
#ifndef BUG_NO_RECHECK
                if
                :: i < granted + SLACK || closed || told_c_is_gone -> waits = false; goto put
                :: else
                fi;
#endif
                bell_p -> bell_p = false;
                waits = false;
                goto put
            fi
        od;
        ending = 1;
        ring_consumer()
    } unless { dead_p };
over:
    p_over = true
}

proctype Consumer() {
    /* A successor begins where its predecessor had released. */
#ifdef BUG_FROM_THE_START
    byte pos = 0;
#else
    byte pos = released;
#endif
    {
        d_step { granted = pos + WINDOW; most_granted = (granted > most_granted -> granted : most_granted) };
        ring_producer();
        do
        :: stamp > pos ->
take:       assert(slot[pos % CAP] == pos + 1);
            /* Delivered again is only what no consumer had released. */
            assert(pos >= acknowledged);
#ifdef BUG_RELEASE_FIRST
            d_step { released = pos + 1; acknowledged = pos + 1 };
            worked[pos] = true;
#else
            worked[pos] = true;
            d_step { released = pos + 1; acknowledged = pos + 1 };
#endif
            pos++;
            d_step { granted = pos + WINDOW; most_granted = (granted > most_granted -> granted : most_granted) };
            ring_producer()
        /* The reader has had enough. */
        :: pos > 0 && pos < N -> closed = true; ring_producer(); found = CANCELLED; goto over
#ifdef BUG_END_FIRST
        :: ending == 1 -> found = COMPLETED; goto over
#endif
        :: stamp <= pos ->
            if
            :: ending == 1 ->
                /* Whoever sees the end sees every stamp before it, but may have looked for one before. */
                if
                :: stamp > pos -> goto take
                :: else -> found = COMPLETED; goto over
                fi
            :: told_p_is_gone ->
#ifndef BUG_GONE_FIRST
                if
                :: stamp > pos -> goto take
                :: stamp <= pos && ending == 1 -> found = COMPLETED; goto over
                :: else -> skip
                fi;
#endif
                found = PEER_GONE; goto over
            :: else ->
                sleeps = true;
#ifndef BUG_NO_RECHECK
                if
                :: stamp > pos || ending == 1 || told_p_is_gone -> sleeps = false
                :: else -> bell_c -> bell_c = false; sleeps = false
                fi
#else
                bell_c -> bell_c = false; sleeps = false
#endif
            fi
        od
    } unless { dead_c };
over:
    /* Everything published is delivered before an end is told. */
    assert(dead_c || found == CANCELLED || pos == stamp);
    assert(found != COMPLETED || pos == N);
    if
    :: !dead_c -> c_over = true
    :: dead_c -> buried = true
    fi
}

/* The background thread of the producer's process: hears that the consumer hung up. */
proctype Host() {
    byte i;
    do
    :: dead_c && buried ->
        /* The kernel has closed the connection, so none of its stores can follow: what its page says is all that it did. */
        i = 0;
        do
        :: i < released -> assert(worked[i]); i++
        :: else -> break
        od;
#ifdef RESUMABLE
        if
        :: closed -> c_over = true; break
        :: else ->
            /* The page of the next one begins where that of the dead ended. */
            d_step { sleeps = false; bell_c = false; granted = released; dead_c = false; buried = false };
            run Consumer()
        fi
#else
#ifndef BUG_NOT_TOLD
        told_c_is_gone = true;
        bell_p = true;
#endif
        c_over = true;
        break
#endif
    :: c_over && p_over -> break
    od
}

/* The background thread of the consumer's process: hears that the producer hung up. */
proctype Guard() {
    if
    :: dead_p ->
#ifndef BUG_NOT_TOLD
        told_p_is_gone = true;
        bell_c = true
#else
        skip
#endif
    :: p_over && !dead_p
    fi
}

/* Death comes at any time, or not. */
proctype Death() {
    do
    :: deaths < DEATHS && !dead_p && !p_over -> d_step { dead_p = true; deaths++ }
    :: deaths < DEATHS && !dead_c && !c_over -> d_step { dead_c = true; deaths++ }
    :: break
    od
}

init {
    atomic { run Producer(); run Consumer(); run Host(); run Guard(); run Death() }
}

/* Each side comes to an end, whatever happens to the other: nobody waits for ever, nobody goes round in circles. */
ltl all_ends { <> (p_over && c_over) }
/* The death of a producer is learned of. */
ltl death_is_told { [] (dead_p -> <> c_over) }
