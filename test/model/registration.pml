/*
Copyright 2026 The Hexcovery Authors.
SPDX-License-Identifier: Apache-2.0

A model of the protocol by which no auth server calls a key unknown that was given
out, for the model checker Spin (https://spinroot.com). The protocol is told in
docs/revocation.md; the code is internal/registry. run.sh checks this model with
every protective step in, and with each of them taken out.

What is modeled

One replica in one session, with its Lease; one manager, one new key; requests with
that key that begin after it was given out. Each step is one transition, and all
interleave freely. The watch fails and recovers at any time; the Lease is renewed or
not. A renewal may be lost, or be written after its sender has given up on it.

A new key waits for each replica that was heard from within suspect-after and does not
say in its Lease that it cannot watch. So a replica that was silent, or said so, calls
no key unknown until its index has all that stood when that was over: it doubts.

Time is discrete: what is stored is how long ago something was. The two clocks differ
by at most DRIFT over any period.

What is left out, and why nothing is lost by it:
  - The end of a session: a new one has listed after its Lease said that it has applied
    nothing, and a new key waits for it until it has said more.
  - The fence: it answers nothing.
  - Organizations and Namespaces, whose revisions a new key waits for likewise.
  - How long a watch has to fail until the Lease says so: here it may say so, or not,
    whenever the watch fails, and may stop to say so at any time.
*/

#ifndef SUSPECT
#define SUSPECT 2 /* so long after its last renewal the replica calls no key unknown */
#endif
#ifndef DRIFT
#define DRIFT 1
#endif
#ifdef WITHOUT_MARGIN
#define MARGIN 0
#else
#define MARGIN DRIFT
#endif
#define SILENT (SUSPECT + MARGIN)

#ifdef COVERAGE
#define STEP atomic
#else
#define STEP d_step
#endif

#define NONE 0
#define SENT 1
#define MADE 2
#define FAILED 3

/* What the API server stores. */
bit registered;        /* the key's hash stands */
bit applied, flagged;  /* what the Lease says: the hash is applied; cannot watch */
bit late, lateApplied, lateFlagged; /* a write of the Lease that was given up on */

/* The replica. */
bit deaf;      /* its watch fails */
bit known;     /* its index has the key */
bit doubt;
bit undecided; /* the Lease says, or may say, that it cannot watch */
byte age, sent, call;
bit callApplied, callFlagged;
bit valid, presentHas; /* a list that was made since the last doubt began to end; it has the key */

/* A request that began after the key was given out. */
byte request; /* 1: has read doubt; 2: did not find the key; 3: has read the clock; 4: was not silent */
bit tainted;  /* doubt has changed since, or was there */
byte requestAge, requestSent;

/* The manager. */
bit same;     /* the Lease is as it was last seen */
byte silence; /* since that was first seen */
byte survey;  /* 1: asked for; 2: made */
byte silenceThen;
bit since, shownApplied, shownFlagged, shownSame;
bit given;    /* the key was given out */

byte ahead; /* by how much the manager's clock is ahead */

inline changed() {
	same = 0; late = 0; lateApplied = 0; lateFlagged = 0;
	if
	:: call == SENT -> call = FAILED
	:: else
	fi
}

inline doubts(what) {
	if
	:: doubt != what -> doubt = what; tainted = (request != 0)
	:: else
	fi
}

inline forget() {
	call = NONE; sent = 0; callApplied = 0; callFlagged = 0
}

/* WITHOUT_DOUBT_FIRST: it doubts when it hears that its Lease says so. */
#ifdef WITHOUT_DOUBT_FIRST
#define BEFORE(what) skip
#define AFTER(what) if :: what -> doubts(1) :: else fi
#else
#define BEFORE(what) if :: what -> doubts(1) :: else fi
#define AFTER(what) skip
#endif

#ifdef WITHOUT_DOUBT_AFTER_SILENCE
#define WAS_SILENT false
#else
#define WAS_SILENT (age >= SUSPECT)
#endif

/* WITHOUT_LIST_AFTER: a list of before the Lease said so no more is good enough. */
#ifdef WITHOUT_LIST_AFTER
#define RECOVERED undecided = 0
#else
#define RECOVERED undecided = 0; valid = 0; presentHas = 0
#endif

#ifdef WITHOUT_SILENT_ANSWER
#define REQUEST_SILENT false
#else
#define REQUEST_SILENT (requestAge >= SUSPECT)
#endif

#ifdef WITHOUT_SECOND_LOOK
#define TAINTED false
#else
#define TAINTED tainted
#endif

active proctype replica() {
	do
	:: STEP { !deaf -> deaf = 1; printf("replica: its watch fails\n") }
	:: STEP { deaf -> deaf = 0; printf("replica: its watch works\n") }
	:: STEP { registered && !known && !deaf ->
		known = 1; printf("replica: the watch brings the key\n") }

	/* A renewal. */
	:: STEP { call == NONE ->
		call = SENT; sent = 0; callApplied = known; callFlagged = 0;
		if
		:: request == 3 -> requestSent = 0
		:: else
		fi;
		printf("replica: sends a renewal, with the key applied: %d\n", known) }
	:: STEP { call == NONE && deaf ->
		BEFORE(true);
		undecided = 1; call = SENT; sent = 0; callApplied = known; callFlagged = 1;
		if
		:: request == 3 -> requestSent = 0
		:: else
		fi;
		printf("replica: sends a renewal that says that it cannot watch\n") }
	:: STEP { call == MADE ->
		AFTER(callFlagged);
		if
		:: undecided && !callFlagged -> RECOVERED
		:: else
		fi;
		if
		:: WAS_SILENT -> doubts(1); valid = 0; presentHas = 0
		:: else
		fi;
		if
		:: request == 3 -> requestAge = requestSent; requestSent = 0
		:: else
		fi;
		age = sent; forget(); printf("replica: hears of its renewal; doubts: %d\n", doubt) }
	:: STEP { call == FAILED ->
		forget(); printf("replica: hears that its Lease was written in between\n") }
	:: STEP { call == SENT || call == MADE ->
		if
		:: call == SENT && !late -> late = 1; lateApplied = callApplied; lateFlagged = callFlagged
		:: else
		fi;
		forget(); printf("replica: gives its renewal up\n") }

	/* The doubt ends when the index has what a list shows that was made since. */
	:: STEP { call == NONE && doubt && !undecided && !valid ->
		valid = 1; presentHas = registered; printf("replica: lists: the key is there: %d\n", presentHas) }
#ifdef WITHOUT_LIST
	:: STEP { call == NONE && doubt && !undecided ->
		doubts(0); printf("replica: doubts no more\n") }
#else
	:: STEP { call == NONE && doubt && !undecided && valid && (!presentHas || known) ->
		doubts(0); printf("replica: doubts no more\n") }
#endif
	od
}

active proctype server() {
	do
	:: STEP { !registered -> registered = 1; printf("server: THE HASH STANDS\n") }
	:: STEP { call == SENT ->
		call = NONE; changed(); call = MADE; applied = callApplied; flagged = callFlagged;
		printf("server: the Lease is written; applied: %d, cannot watch: %d\n", applied, flagged) }
	:: STEP { late ->
		applied = lateApplied; flagged = lateFlagged; changed();
		printf("server: a late write of the Lease arrives; applied: %d, cannot watch: %d\n", applied, flagged) }
	:: STEP { late -> late = 0; lateApplied = 0; lateFlagged = 0; printf("server: a late write is lost\n") }
	od
}

active proctype manager() {
	do
	:: STEP { !given && survey == 0 ->
		survey = 1; silenceThen = silence; since = registered; printf("manager: asks for a survey\n") }
	:: STEP { survey == 1 ->
		survey = 2; shownApplied = applied; shownFlagged = flagged; shownSame = same;
		printf("manager: the survey is made; applied: %d, cannot watch: %d, as last seen: %d\n", applied, flagged, same) }
	:: STEP { survey == 2 && since && (shownApplied || shownFlagged || shownSame && silenceThen >= SILENT) ->
		given = 1; survey = 0; silenceThen = 0; since = 0; shownApplied = 0; shownFlagged = 0; shownSame = 0; same = 0; silence = 0;
		printf("manager: THE KEY IS GIVEN OUT\n") }
	:: STEP { survey == 2 ->
		survey = 0; silenceThen = 0; since = 0; shownApplied = 0; shownFlagged = 0; shownSame = 0;
		printf("manager: the survey is not enough\n") }
	:: STEP { !given && !same ->
		same = 1; silence = 0; silenceThen = 0; shownSame = 0; printf("manager: its informer shows the Lease\n") }
	od
}

#define UNKNOWN (request == 5)

active proctype client() {
	do
	:: STEP { given && request == 0 -> request = 1; tainted = doubt; printf("request: begins; doubts: %d\n", doubt) }
	:: STEP { request == 1 && known -> request = 0; tainted = 0; printf("request: finds the key\n") }
	:: STEP { request == 1 && !known -> request = 2; printf("request: does not find the key\n") }
	:: STEP { request == 2 ->
		request = 3; requestAge = age; requestSent = (call == NONE -> 0 : sent); printf("request: reads the clock\n") }
	:: STEP { request == 3 ->
		request = (REQUEST_SILENT -> 0 : 4); tainted = (request == 4 && tainted); requestAge = 0; requestSent = 0;
		printf("request: is answered 503 for a silence, or goes on: %d\n", request) }
	:: STEP { request == 4 && (TAINTED || doubt) -> request = 0; tainted = 0; printf("request: is answered 503 for a doubt\n") }
	:: STEP { request == 4 && !(TAINTED || doubt) -> request = 5; printf("request: IS CALLED UNKNOWN\n") }
	:: UNKNOWN -> assert(!UNKNOWN)
	od
}

active proctype clocks() {
	do
	:: STEP { ahead < DRIFT ->
		ahead++;
		if
		:: same && silence < SILENT -> silence++
		:: else
		fi;
		printf("clock: of the manager\n") }
	:: STEP { ahead > 0 ->
		ahead--;
		if
		:: age < SUSPECT -> age++
		:: else
		fi;
		if
		:: call != NONE && sent < SUSPECT -> sent++
		:: else
		fi;
		printf("clock: of the replica\n") }
	od
}
