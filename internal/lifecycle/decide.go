// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
)

// decision is a Plan on its way: subjects, one after the other, bring the status to what it
// is to be, and note how it stands.
type decision struct {
	*Facts
	// next is the status as it is to be.
	next status
	plan Plan

	// main and previous are what the Secrets hold.
	main, previous holding
	// These are how it stands with each. A finding without a reason has nothing to say.
	permission, stop, withdrawal, registration, publication, pinned, imports, turnover, applying finding
	// brief: what is waited for takes milliseconds, and is not worth a write yet.
	brief bool
	// yielding is the ID of the key that is about to give its place to a pinned one.
	yielding string
}

// Decide says what is to be done. It is a function of the Facts alone.
func Decide(f *Facts) Plan {
	d := &decision{Facts: f, next: *f.Key.Status.DeepCopy()}
	deleted, finalizer := !f.Key.DeletionTimestamp.IsZero(), slices.Contains(f.Key.Finalizers, v1alpha1.Finalizer)
	switch {
	case deleted && (f.Released || !finalizer):
		// Nothing is left to be done or said.
		return d.plan
	case deleted:
		d.finalize()
		return d.conclude()
	case !f.Key.StatusIsOwn():
		// What a backup has brought, or somebody has copied, counts for nothing.
		d.next = status{RestoredFrom: restoredFrom(f.Key)}
	}
	d.main, d.previous = d.holding(&d.Secret, false), d.holding(&d.Previous, true)
	for _, subject := range []func() bool{
		d.admit, d.prune, d.withdraw, d.reconcileImports, d.revoke, d.inspect, d.register, d.acknowledge, d.publish, d.rotate, d.retire,
	} {
		if !subject() {
			break
		}
	}
	plan := d.conclude()
	if !plan.Asks() && !finalizer && f.Unwritable == "" && len(d.next.Versions) > 0 {
		// A manifest that is replaced whole, as some tools do, loses it.
		plan.Step = StepFinalizer
	}
	return plan
}

// conclude turns what subjects found into a Plan.
func (d *decision) conclude() Plan {
	d.judge()
	d.plan.Status = d.next
	moved := d.moved()
	switch {
	case d.urgent():
		d.plan.Ask, d.plan.Step = Questions{}, StepStatus
	case d.plan.Asks():
		d.plan.Step = StepNone
	case moved && d.plan.Step == StepSecret:
		d.plan.Step = StepStatus
	case d.plan.Step == StepNone && (moved || !d.brief && !equality.Semantic.DeepEqual(d.Key.Status, d.next)):
		d.plan.Step = StepStatus
	}
	return d.plan
}

// urgent reports whether the status is to be written before questions are answered: what is
// refused from that write on must not wait for an answer that may not come. A new key, or a
// hash that was reserved, is a part of the same write.
func (d *decision) urgent() bool {
	q := &d.plan.Ask
	if q.Permission || q.Spec || q.Digest || len(q.Claims) > 0 || !d.Key.StatusIsOwn() {
		return false
	}
	if d.Key.Status.Acceptance == v1alpha1.AcceptanceAccepted && d.next.Acceptance != v1alpha1.AcceptanceAccepted {
		return true
	}
	return slices.ContainsFunc(d.next.Versions, func(v version) bool {
		old := versionOf(&d.Key.Status, v.ID)
		return old != nil && old.State.Accepted() && !v.State.Accepted()
	})
}

// moved reports whether the status differs in what anything rests on: what people read, and
// when a key was last used, do not.
func (d *decision) moved() bool {
	strip := func(s status) status {
		s.Conditions, s.ObservedGeneration, s.UID, s.LastUsedTime = nil, 0, "", nil
		return s
	}
	return !equality.Semantic.DeepEqual(strip(d.Key.Status), strip(d.next))
}

// await returns what is known of a wait, and has it be asked for where that is nothing.
func (d *decision) await(kind PurposeKind, format string, values ...any) Ack {
	purpose := Purpose{kind, fmt.Sprintf(format, values...)}
	ack, known := d.Acks[purpose]
	switch {
	case !known:
		d.plan.Ask.Acks = append(d.plan.Ask.Acks, purpose)
	case !ack.Complete:
		d.plan.Waits = append(d.plan.Waits, purpose)
		d.again(ack.Again)
	}
	return ack
}

// again has the next look come after at most wait.
func (d *decision) again(wait time.Duration) {
	if wait > 0 && (d.plan.Again == 0 || wait < d.plan.Again) {
		d.plan.Again = wait
	}
}

// stored reports whether what auth servers would be asked about is what they can have seen.
func (d *decision) stored() bool {
	return d.Key.Status.Acceptance == d.next.Acceptance && d.Key.StatusIsOwn()
}
