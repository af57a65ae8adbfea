/*
Copyright 2026 The Hexcovery Authors.
SPDX-License-Identifier: Apache-2.0

A model of the protocol by which a revocation is known to be complete, for the
model checker Spin (https://spinroot.com). The protocol is told in
docs/revocation.md; the code is internal/registry. run.sh checks this model with
every protective step in, and with each of them taken out.

What is modeled

One replica in full detail, with its Lease; one manager; one revocation; requests
that begin after the manager has reported the revocation complete. Each step of
each of them is one transition, and all interleave freely, so each may pause for
any time between any two steps. The network loses calls and answers, and a write
that its sender has given up on may arrive later.

A revocation is one of one hash: that of an APIKey that is deleted, or of one version
of an APIKey that lives on. To the protocol both are an update at a revision, without
which a list has the hash, and with which it has not, and after which no update has it
again. Hashes are independent of each other: what an index drops for one it drops for
no other.

Other replicas are modeled by what one sees of them: after the revocation, Leases
that have applied it may come and go, at any time. A revocation is complete when
nothing is missing from any replica, so whatever the others do that is not
modeled can only make the manager wait longer. What is found for this replica
holds for each of any number.

Time is discrete and has no end: what is stored is how long ago something was,
up to the longest duration that anything is compared with. The manager's clock
and the replica's each tick by themselves; over any period they differ by at most
DRIFT.

Where the model and the code differ, the model allows more:
  - Of the manager's informer there is only that it begins a silence, when it shows
    the Lease as it is. What it shows late is no silence, for a list shows another
    Lease then. A look may be taken whenever some Lease has been written that has
    applied the revocation. The code looks only if all seem to have, as the informer
    has it, and names one of them as witness.
  - Of the caches of API servers there is one, and it stands still before the
    revocation and catches up at any time, or never: of several, some one answers.
  - A renewal succeeds that the code has to repeat, since the write before it
    arrived although it was given up.
  - A Lease counts as run out at bound + margin, and is collected from then on.
    The code counts later than that, and collects after ten times as long.
  - A connection that is lost with events in it is a watch that brings them late,
    or a session that ends. An event that is passed over is WITH_LOST_EVENT.

What is left out, and why nothing is lost by it:
  - Of the writes that were given up, one at a time may still arrive. All are
    conditional, so of several for one state of the Lease one succeeds at most; a
    creation that comes late to no Lease says that nothing is applied.
  - The process keeps one session after another, as the code does; requests keep
    theirs. One request at a time: requests change nothing.
  - Another manager beside this one counts by what it has itself seen, so what
    holds for one holds for each.
  - When completion was reported, the manager's variables and the caches are
    cleared: nothing reads them any more.
  - Of each kind, one resource: APIKeys, Organizations and Namespaces follow the same
    steps, and each has a revision of its own in the Lease.
  - suspect-after, and what a Lease says of a watch that fails: no revocation goes by
    it. registration.pml has it.
  - A clock of the manager that stands still, and one of the replica that jumps ahead:
    the one makes the manager wait, the other the replica refuse.

What is assumed, and so is not there: nobody edits or deletes a Lease by hand, and
no two processes run at once under one name of a Lease.

Each protective step is taken out by a macro WITHOUT_...; docs/revocation.md says
what each is. CALM checks, instead of safety, that a revocation completes in time
once failures cease.
*/

#ifndef BOUND
#define BOUND 2 /* the replica serves so long after its last renewal */
#endif
#ifndef DRIFT
#define DRIFT 1 /* the most by which two clocks differ over any period */
#endif
#ifdef WITHOUT_MARGIN
#define MARGIN 0
#else
#define MARGIN DRIFT
#endif
#define OUT (BOUND + MARGIN) /* silent for so long, a Lease counts as run out */
#define QUIET BOUND /* a watch that brings nothing for so long ends the session */
#ifndef LIMIT
#define LIMIT 5 /* ticks within which a revocation completes once failures cease */
#endif

/* Each step is one transition. Spin can tell which steps no run takes if they are
   atomic; where counterexamples are sought breadth first, d_step saves memory. */
#ifdef COVERAGE
#define STEP atomic
#else
#define STEP d_step
#endif

/* The replica's steps: between sessions it is UP; a session begins with a join. */
#define DOWN 0
#define UP 1
#define JOINING 2  /* the write of the Lease is under way */
#define LISTING 3  /* the list is asked for */
#define LISTED 4   /* the list was made, its answer is on its way */
#define FILLED 5   /* the index holds the list */
#define SERVING 6  /* requests find the session */
#define STOPPING 7 /* a graceful stop: no session any more, the Lease is still there */

#define IN_SESSION (phase >= LISTING && phase <= SERVING)

/* A call of the replica that writes its Lease. */
#define NONE 0
#define SENT 1    /* on its way there */
#define MADE 2    /* the Lease is written, the answer is on its way back */
#define FAILED 3  /* refused, for the Lease is not as it was; on its way back */
#define EXTEND 4  /* answered in time; the deadline is about to be moved */

/* A write that its sender has given up on, and that may arrive yet. */
#define LATE_UPDATE 1  /* conditional on what the Lease was */
#define LATE_APPLIED 2 /* the same, and says that the revocation is applied */
#define LATE_CREATE 3  /* conditional on there being none */
#define LATE_DELETE 4  /* of a graceful stop; conditional on what the Lease was */

/* What the API server stores. */
bit revoked; /* the revocation stands */
bit present; /* the replica's Lease is there */
bit applied; /* and says that the revocation is applied */
bit mine;    /* and names the replica's present session as its holder */
bit other;   /* a Lease of another replica is there that has applied the revocation */
bit witness; /* some Lease has been written that said so */

/* What the cache of some API server holds: all of this as it once was. */
bit oldPresent, oldApplied, oldOther, oldWitness;

/* The network. */
byte late;    /* a write of the replica's that was given up on */
bit lateMine; /* by its present session */
bit collect;  /* the manager's deletion of a Lease that has run out */

/* The replica. */
byte phase;
bit listed;  /* the list on its way has the key */
bit index;   /* the index has the key */
bit known;   /* what the index has applied includes the revocation */
byte age;    /* since the last renewal that succeeded was sent */
byte call;
byte sent;   /* since that call was sent */
bit creates, reports;
bit leaving; /* WITHOUT_STOP_BEFORE_LEAVE: the Lease is deleted, requests are not over */

/* A request that began after completion was reported. */
byte request; /* 0: none; 1: has the session; 2: found the key; 3: has read the clock; 4: accepted */
byte requestAge;  /* from the renewal that its session counts from to that reading */
byte requestSent; /* from the sending of the renewal under way to that reading */

/* The manager. */
bit seen;     /* it has seen the Lease */
bit same;     /* and it has not been written since */
byte silence; /* since the answer, or the informer, that first showed it like that */
byte survey;  /* 0: none; 1: asked for; 2: made, its answer is on its way */
byte silenceThen;  /* the silence when the survey was asked for */
bit since;    /* the survey was asked for after the revocation stood */
bit shownPresent, shownApplied, shownSame, shownStill;
bit done;     /* completion was reported */

byte ahead; /* by how much the manager's clock is ahead */

#ifdef WITHOUT_SILENCE_ANSWERED
byte asked; /* since the survey was asked for */
#endif

/* Failures cease: nobody pauses, nothing is lost, and time goes on only when all
   is done that can be done. The replica is in touch, or mute for ever, or deaf: its
   Lease is renewed, and its watch brings nothing. */
#ifdef CALM
bit calm, mute, deaf;
bit asks, renews; /* the manager has to survey, the replica to renew, before time goes on */
byte quiet;       /* for how long the watch has brought nothing */
byte ticks;       /* of the manager's clock since */
#define STORM (!calm)
#define CUT_OFF (calm && mute)
#define WATCHES (!calm || !mute && !deaf)
#define BUSY (calm && (survey || asks || collect || late || \
	!mute && (phase != SERVING && phase != DOWN || call || renews && phase == SERVING || !deaf && phase == SERVING && (index || !known))))
#define UNTIL_DONE provided (!done)
#ifdef WITHOUT_QUIET
#define TIRED false
#else
#define TIRED (deaf && quiet >= QUIET)
#endif
#define RENEWS (!calm || renews)
#define RENEW_SOON renews = calm
#define RENEWED renews = 0
#define ASKS (!calm || asks)
#define ASKED_ONCE asks = 0
#define TICK_MANAGER if :: calm -> asks = 1; ticks++; assert(ticks <= LIMIT) :: else fi
#define TICK_REPLICA if :: calm -> renews = 1; quiet = (deaf && quiet < QUIET -> quiet + 1 : quiet) :: else fi
#else
#define STORM true
#define CUT_OFF false
#define WATCHES true
#define BUSY false
#define UNTIL_DONE
#define TIRED false
#define RENEWS true
#define RENEW_SOON skip
#define RENEWED skip
#define ASKS true
#define ASKED_ONCE skip
#define TICK_MANAGER skip
#define TICK_REPLICA skip
#endif

#ifdef WITHOUT_FENCE
#define FENCED false
#else
#define FENCED (age >= BOUND)
#endif

/* The Lease was written or deleted: what was conditional on how it was fails, be it
   on its way or late. */
inline changed() {
	same = 0; shownStill = 0;
#ifndef WITHOUT_CONDITIONAL_COLLECTION
	collect = 0;
#endif
#ifndef WITHOUT_CONDITIONAL_WRITES
	if
	:: late == LATE_CREATE
	:: else -> late = 0; lateMine = 0
	fi;
	if
	:: call == SENT -> call = FAILED
	:: else
	fi
#else
	skip
#endif
}

inline says(what) {
	present = 1; applied = what;
	if
	:: applied -> witness = 1
	:: else
	fi
}

/* The replica gives its call up; what has not arrived may still do so. */
inline giveUp() {
	if
	:: call == SENT && late == 0 && !CUT_OFF ->
		if
		:: creates -> late = LATE_CREATE
		:: !creates && reports -> late = LATE_APPLIED
		:: else -> late = LATE_UPDATE
		fi;
		lateMine = 1
	:: else
	fi;
	call = NONE; sent = 0; creates = 0; reports = 0
}

/* The session is over, and marked as broken: a request that has it is refused. */
inline end(next) {
	giveUp();
	lateMine = 0; mine = 0;
	phase = next; listed = 0; known = 0; leaving = 0;
#ifdef WITHOUT_SESSION
	/* One deadline for the process: it stays as it is, and a request keeps what it found. */
	if
	:: request == 1 && index -> request = 2
	:: request == 1 && !index -> request = 0
	:: else
	fi;
#else
	age = 0; request = 0; requestAge = 0; requestSent = 0;
#endif
	index = 0;
#ifdef CALM
	deaf = 0; quiet = 0; renews = calm
#endif
}

inline endProcess() {
	end(DOWN);
	age = 0; request = 0; requestAge = 0; requestSent = 0
}

inline send(create, report) {
	call = SENT; sent = 0; creates = create; reports = report;
	if
	:: request == 3 -> requestSent = 0
	:: else
	fi
}

inline complete() {
	done = 1;
	/* Nothing of this matters any more. */
	seen = 0; same = 0; silence = 0; survey = 0; silenceThen = 0; since = 0;
	shownPresent = 0; shownApplied = 0; shownSame = 0; shownStill = 0;
	oldPresent = 0; oldApplied = 0; oldOther = 0; oldWitness = 0; other = 0; witness = 0;
#ifdef WITHOUT_SILENCE_ANSWERED
	asked = 0
#endif
}


#ifdef WITHOUT_REJOIN
#define TOO_LATE false
#else
#define TOO_LATE FENCED
#endif

/* A join says that nothing is applied, whatever the Lease said before. */
#ifdef WITHOUT_ZERO
#define REPORTED (reports || phase == JOINING && applied)
#else
#define REPORTED reports
#endif

#ifdef WITHOUT_DEADLINE_FROM_SENDING
#define ANSWERED sent = 0
#else
#define ANSWERED skip
#endif

#ifdef WITHOUT_FENCE
#define REQUEST_FENCED false
#else
#define REQUEST_FENCED (requestAge >= BOUND)
#endif

#ifdef WITHOUT_SESSION
#define AGES (phase != DOWN)
#else
#define AGES IN_SESSION
#endif

#ifdef WITHOUT_LOOK_FRESH
#define LOOK_FRESH true
#else
#define LOOK_FRESH oldWitness
#endif
#ifdef WITHOUT_LOOK_SOMEBODY
#define LOOK_SOMEBODY true
#else
#define LOOK_SOMEBODY (oldPresent || oldOther)
#endif

/* What the survey shows was so after the revocation stood. */
#ifdef WITHOUT_SURVEY_SINCE
#define OF_THE_PRESENT revoked
#else
#define OF_THE_PRESENT since
#endif

#ifdef WITHOUT_CLOCK_BEFORE_LIST
#define SILENT silence
#else
#define SILENT silenceThen
#endif
#ifdef WITHOUT_COUNTING_OUT
#define RUN_OUT false
#else
#define RUN_OUT (shownSame && SILENT >= OUT)
#endif

#ifdef WITHOUT_SILENCE_ANSWERED
#define SILENCE_FROM asked
#define ASKED asked = 0
#define FORGET_ASKED asked = 0
#define TICK_ASKED if :: survey && asked < OUT -> asked++ :: else fi
#else
#define SILENCE_FROM 0
#define ASKED skip
#define FORGET_ASKED skip
#define TICK_ASKED skip
#endif

/* The deletion is conditional on the Lease being as the survey has shown it. */
#ifdef WITHOUT_CONDITIONAL_COLLECTION
#define COLLECTS true
#else
#define COLLECTS shownStill
#endif

/* The replica's session, without its reports and requests. */
active proctype replica() UNTIL_DONE {
	do
	:: STEP { phase == DOWN && !CUT_OFF ->
		phase = UP; printf("replica: the process starts\n") }

#ifdef WITHOUT_ZERO_BEFORE_LIST
	:: STEP { phase == UP && !CUT_OFF ->
		phase = LISTED; listed = !revoked; printf("replica: the list is made, and has the key: %d\n", listed) }
	:: STEP { phase == LISTED && call == NONE ->
		phase = JOINING; send(!present, 0); printf("replica: sends its Lease, with nothing applied\n") }
	:: STEP { phase == JOINING && call == MADE && !CUT_OFF ->
		phase = FILLED; age = sent; call = NONE; sent = 0; creates = 0;
		index = listed; known = !listed; listed = 0; printf("replica: hears that its Lease stands; its index holds the list\n") }
#else
	:: STEP { phase == UP ->
		phase = JOINING; send(!present, 0); printf("replica: sends its Lease, with nothing applied\n") }
	:: STEP { phase == JOINING && call == MADE && !CUT_OFF ->
		phase = LISTING; age = sent; call = NONE; sent = 0; creates = 0; printf("replica: hears that its Lease stands\n") }
	:: STEP { phase == LISTING && !CUT_OFF ->
		phase = LISTED; listed = !revoked; printf("replica: the list is made, and has the key: %d\n", listed) }
#ifdef WITHOUT_CONSISTENT_LIST
	:: STEP { phase == LISTING && !CUT_OFF ->
		phase = LISTED; listed = 1; printf("replica: the list is made from an old cache, and has the key\n") }
#endif
	:: STEP { phase == LISTED && !CUT_OFF ->
		phase = FILLED; index = listed; known = !listed; listed = 0; printf("replica: its index holds the list\n") }
#endif
	:: STEP { phase == FILLED ->
		phase = SERVING; printf("replica: serves\n") }
	:: STEP { phase == JOINING && (call == FAILED || STORM) ->
		giveUp(); lateMine = 0; phase = UP; printf("replica: gives its join up\n") }

	/* The watch brings the revocation: applied first, and reported second. */
#ifdef WITHOUT_APPLY_FIRST
	:: STEP { (phase == FILLED || phase == SERVING) && revoked && !known && WATCHES ->
		known = 1; RENEW_SOON; printf("replica: counts the revocation as applied\n") }
	:: STEP { (phase == FILLED || phase == SERVING) && known && index ->
		index = 0; printf("replica: drops the key\n") }
#else
	:: STEP { (phase == FILLED || phase == SERVING) && revoked && index && WATCHES ->
		index = 0; printf("replica: the watch brings the revocation; drops the key\n") }
	:: STEP { (phase == FILLED || phase == SERVING) && revoked && !index && !known ->
		known = 1; RENEW_SOON; printf("replica: counts the revocation as applied\n") }
#endif
#ifdef WITH_LOST_EVENT
	:: STEP { (phase == FILLED || phase == SERVING) && revoked && index && !known ->
		known = 1; printf("replica: the watch has lost the revocation, and brings what is later\n") }
#endif

	/* The session ends: the watch or the Lease cannot be vouched for, or a stop. */
	:: STEP { IN_SESSION && STORM && !leaving ->
		end(UP); printf("replica: its session ends\n") }
	:: STEP { (phase == UP || phase == JOINING || IN_SESSION) && STORM && !leaving ->
		end(STOPPING); printf("replica: stops serving\n") }
	:: STEP { phase == STOPPING && present && !CUT_OFF ->
		present = 0; applied = 0; changed(); endProcess(); printf("replica: deletes its Lease, and ends\n") }
	:: STEP { phase == STOPPING && present && STORM ->
		if
		:: late == 0 -> late = LATE_DELETE; lateMine = 0
		:: else
		fi;
		endProcess(); printf("replica: gives the deletion of its Lease up, and ends\n") }
	:: STEP { phase == STOPPING && !present ->
		endProcess(); printf("replica: ends\n") }
#ifdef WITHOUT_STOP_BEFORE_LEAVE
	:: STEP { phase == SERVING && !leaving && present && STORM ->
		present = 0; applied = 0; changed(); leaving = 1; printf("replica: deletes its Lease, to stop serving next\n") }
#endif

	/* The process dies, and its requests with it. */
	:: STEP { phase != DOWN && STORM ->
		endProcess(); printf("replica: the process dies\n") }
	od
}

/* The session's reports: it renews its Lease, and says in it what is applied. */
active proctype reporter() UNTIL_DONE {
	do
	:: STEP { IN_SESSION && call == NONE && !leaving && RENEWS && !FENCED && !TIRED ->
		send(0, known); RENEWED; printf("reporter: sends a renewal, with the revocation applied: %d\n", known) }
	:: STEP { IN_SESSION && call == NONE && !leaving && RENEWS && (FENCED || TIRED) ->
		end(UP); printf("reporter: ends the session, which is fenced\n") }

	/* An answer after the deadline extends nothing. */
	:: STEP { IN_SESSION && call == MADE && !CUT_OFF && !TOO_LATE ->
		call = EXTEND; ANSWERED; printf("reporter: hears of the renewal in time\n") }
	:: STEP { IN_SESSION && call == MADE && !CUT_OFF && TOO_LATE ->
		end(UP); printf("reporter: hears of the renewal too late, and ends the session\n") }
	:: STEP { IN_SESSION && call == EXTEND ->
		age = sent; call = NONE; sent = 0; reports = 0;
		if
		:: request == 3 -> requestAge = requestSent; requestSent = 0
		:: else
		fi;
		printf("reporter: moves the deadline\n") }

	:: STEP { IN_SESSION && call == FAILED && (!present || !mine) && !CUT_OFF ->
		end(UP); printf("reporter: hears that its Lease is not its own any more, and ends the session\n") }
	:: STEP { IN_SESSION && call == FAILED && present && mine && !CUT_OFF ->
		call = NONE; sent = 0; reports = 0; RENEW_SOON; printf("reporter: hears that its Lease was written in between\n") }
	:: STEP { IN_SESSION && (call == SENT || call == MADE || call == FAILED) && STORM ->
		giveUp(); printf("reporter: gives the renewal up\n") }
	od
}

/* What the API server does with what arrives there, and with its own caches. */
active proctype server() UNTIL_DONE {
	do
	:: STEP { !revoked ->
		revoked = 1; printf("server: THE REVOCATION STANDS\n") }

	:: STEP { call == SENT && !CUT_OFF ->
		call = NONE; changed(); call = MADE; says(REPORTED); mine = 1;
		printf("server: the Lease is written, with the revocation applied: %d\n", applied) }

	/* Late ones: conditional, so what was written meanwhile has made them fail. */
	:: STEP { late == LATE_CREATE && !present ->
		late = 0; changed(); says(0); mine = lateMine; lateMine = 0;
		printf("server: a late write makes the Lease\n") }
	:: STEP { (late == LATE_UPDATE || late == LATE_APPLIED) && present ->
		says(late == LATE_APPLIED); late = 0; mine = lateMine; lateMine = 0; changed();
		printf("server: a late write of the Lease arrives, with the revocation applied: %d\n", applied) }
	:: STEP { late == LATE_DELETE && present ->
		late = 0; present = 0; applied = 0; mine = 0; changed(); printf("server: a late deletion of the Lease arrives\n") }
	:: STEP { late ->
		late = 0; lateMine = 0; printf("server: a late write is lost\n") }

	:: STEP { collect && present ->
		present = 0; applied = 0; mine = 0; collect = 0; changed(); printf("server: the Lease is collected\n") }
	:: STEP { collect ->
		collect = 0; printf("server: the collection is lost\n") }

	/* The Leases of others that have applied the revocation come and go. */
	:: STEP { revoked && STORM && !done && !other ->
		other = 1; witness = 1; printf("server: the Lease of another replica says that it has applied the revocation\n") }
	:: STEP { STORM && !done && other ->
		other = 0; printf("server: the Lease of the other replica goes\n") }
	:: STEP { revoked && STORM && !done ->
		oldPresent = present; oldApplied = applied; oldOther = other; oldWitness = witness;
		printf("server: a cache catches up\n") }
	od
}

/* The manager's decisions. It stops when it has reported completion. */
active proctype manager() UNTIL_DONE {
	do
	/* The look: a list of any cache, not older than the witness. */
	:: STEP { revoked && !done && LOOK_FRESH && LOOK_SOMEBODY && (!oldPresent || oldApplied) ->
		printf("manager: looks: the Lease is there: %d, says applied: %d, another is there: %d; REPORTS COMPLETION\n", oldPresent, oldApplied, oldOther);
		complete() }

	/* The survey: a consistent list. */
	:: STEP { !done && survey == 0 && ASKS ->
		survey = 1; silenceThen = silence; since = revoked; ASKED; ASKED_ONCE; printf("manager: asks for a survey\n") }
	:: STEP { survey == 1 ->
		survey = 2; shownPresent = present; shownApplied = applied; shownSame = seen && same; shownStill = 1;
		printf("manager: the survey is made: the Lease is there: %d, says applied: %d, is as last seen: %d\n", present, applied, shownSame) }
#ifdef WITHOUT_LIVE_LIST
	:: STEP { survey == 1 ->
		survey = 2; shownPresent = oldPresent; shownApplied = oldApplied; shownSame = 0; shownStill = 0;
		printf("manager: the survey is made from an old cache: the Lease is there: %d, says applied: %d\n", oldPresent, oldApplied) }
#endif
	:: STEP { survey == 2 && OF_THE_PRESENT && (!shownPresent || shownApplied || RUN_OUT) ->
		printf("manager: has its answer: the Lease is there: %d, says applied: %d, silent for %d of %d; REPORTS COMPLETION\n", shownPresent, shownApplied, (shownSame -> SILENT : 0), OUT);
		if
		:: shownPresent && RUN_OUT && COLLECTS -> collect = 1
		:: else
		fi;
		complete() }
	:: STEP { survey == 2 && !(OF_THE_PRESENT && (!shownPresent || shownApplied || RUN_OUT)) ->
		printf("manager: has its answer: the Lease is there: %d, says applied: %d, silent for %d of %d\n", shownPresent, shownApplied, (shownSame -> SILENT : 0), OUT);
		if
		:: shownPresent && RUN_OUT && COLLECTS -> collect = 1
		:: else
		fi;
		if
		:: !shownPresent -> seen = 0; same = 0; silence = 0
		:: shownPresent && !shownSame && !(seen && same && shownStill) -> seen = 1; same = shownStill; silence = SILENCE_FROM
		:: else
		fi;
		survey = 0; silenceThen = 0; since = 0; shownPresent = 0; shownApplied = 0; shownSame = 0; shownStill = 0;
		FORGET_ASKED }
	/* Its informer shows the Lease as it is, or is late: a silence begins, and nothing
	   else is believed of it. Of a survey under way it says that this is no silence. */
	:: STEP { !done && present && !(seen && same) ->
		seen = 1; same = 1; silence = 0; silenceThen = 0; shownSame = 0; printf("manager: its informer shows the Lease\n") }
	:: STEP { survey && STORM ->
		survey = 0; silenceThen = 0; since = 0; shownPresent = 0; shownApplied = 0; shownSame = 0; shownStill = 0;
		FORGET_ASKED; ASKED_ONCE; printf("manager: its survey fails\n") }

	/* Another takes its place, which has seen nothing yet. */
	:: STEP { seen && STORM ->
		survey = 0; silenceThen = 0; since = 0; shownPresent = 0; shownApplied = 0; shownSame = 0; shownStill = 0;
		seen = 0; same = 0; silence = 0; FORGET_ASKED; ASKED_ONCE; printf("manager: is restarted\n") }
	od
}

#ifdef CALM
/* Failures cease at some time after the revocation. */
active proctype weather() {
	do
	:: STEP { revoked && !done && !calm ->
		calm = 1; asks = 1; renews = 1; printf("weather: calm, the replica is in touch\n") }
	:: STEP { revoked && !done && !calm ->
		calm = 1; asks = 1; renews = 1; mute = 1; late = 0; lateMine = 0; printf("weather: calm, the replica is mute\n") }
	:: STEP { revoked && !done && !calm && (phase == FILLED || phase == SERVING) && index ->
		calm = 1; asks = 1; renews = 1; deaf = 1; printf("weather: calm, the replica is deaf\n") }
	:: done -> skip
	od
}

/* No run is calm for ever and not done: whatever goes on takes time, and the clocks
   tick LIMIT times at most. */
#ifdef ENDLESS
never {
storm:
	if
	:: !done && calm -> goto accept
	:: !done -> goto storm
	fi;
accept:
	if
	:: !done -> goto accept
	fi
}
#endif
#else
#define ACCEPTED (request == 4)
#define READ_CLOCK requestAge = age; requestSent = (call == NONE -> 0 : sent)

/* Requests that begin after completion was reported, one at a time. */
active proctype client() {
	do
	:: STEP { done && request == 0 && phase == SERVING ->
		request = 1; printf("request: begins, and takes the session\n") }
#ifdef WITHOUT_DEADLINE_LAST
	/* It finds the key only when it has checked the deadline. */
	:: STEP { request == 1 ->
		request = 3; READ_CLOCK; printf("request: reads the clock: %d of %d after the renewal\n", age, BOUND) }
	:: STEP { request == 3 && !REQUEST_FENCED ->
		request = 2; requestAge = 0; requestSent = 0; printf("request: is not refused, for the session is not fenced\n") }
	:: STEP { request == 2 && !index ->
		request = 0; printf("request: does not find the key, and is refused\n") }
	:: STEP { request == 2 && index ->
		request = 4; printf("request: IS ACCEPTED\n") }
#else
	:: STEP { request == 1 && index ->
		request = 2; printf("request: finds the key\n") }
	:: STEP { request == 1 && !index ->
		request = 0; printf("request: does not find the key, and is refused\n") }
	:: STEP { request == 2 ->
		request = 3; READ_CLOCK; printf("request: reads the clock: %d of %d after the renewal\n", age, BOUND) }
	:: STEP { request == 3 && !REQUEST_FENCED ->
		request = 4; printf("request: IS ACCEPTED\n") }
#endif
	:: STEP { request == 3 && REQUEST_FENCED ->
		request = 0; requestAge = 0; requestSent = 0; printf("request: is refused, for the session is fenced\n") }
	:: ACCEPTED -> assert(!ACCEPTED)
	od
}
#endif

/* Time. Each clock goes on by itself, but neither gets far ahead of the other. */
active proctype clocks() UNTIL_DONE {
	do
	:: STEP { ahead < DRIFT && !BUSY ->
		ahead++;
		if
		:: seen && !done && silence < OUT -> silence++
		:: else
		fi;
		TICK_ASKED;
		TICK_MANAGER;
		printf("clock: of the manager\n") }
	:: STEP { ahead > 0 && !BUSY ->
		ahead--;
		if
		:: AGES && age < BOUND -> age++
		:: else
		fi;
		if
		:: call != NONE && sent < BOUND -> sent++
		:: else
		fi;
		TICK_REPLICA;
		printf("clock: of the replica\n") }
	od
}
