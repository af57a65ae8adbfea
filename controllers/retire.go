// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/utils/ptr"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/internal/audit"
	"github.com/hexcovery/apikey-operator/internal/registry"
	"github.com/hexcovery/apikey-operator/internal/rotation"
	"github.com/hexcovery/apikey-operator/internal/usage"
)

// Between these bounds is how often a key that was replaced is looked at, where time
// alone does not change the decision.
const (
	minRetireRecheck = time.Second
	maxRetireRecheck = time.Minute
)

// UsageReader knows what keys are used for.
type UsageReader interface {
	// Use returns what was gathered about one version of an APIKey.
	Use(uid types.UID, keyID string) usage.Use
	// Coverage says how far that can be relied on.
	Coverage() usage.Coverage
}

// retire ends the keys that were replaced and that nothing uses any more. Those that end
// for another reason expel ends; here they are the ones that this pass replaces, and end
// at once only if overlap.max is 0.
func (r *APIKeyReconciler) retire(ctx context.Context, p *pass) (next bool, err error) {
	overlap, moving := rotation.OverlapOf(&p.key.Spec.Rotation), r.moving(ctx, p)
	for i := range p.key.Status.Versions {
		v := &p.key.Status.Versions[i]
		if v.State != v1alpha1.VersionRetiring {
			continue
		}
		if v.ID == p.holds {
			// A rotation was undone a moment ago: first the Secret is to have the other key.
			p.lookAgain(conflictRetry)
			continue
		}
		facts := r.facts(p, v)
		facts.Moving = !moving.finished
		decision := rotation.Retire(p.now, facts, overlap)
		if decision.Kept != "" {
			p.lookAgain(min(max(decision.Again, minRetireRecheck), recheck(overlap)))
			p.turnover = p.turnover.or(waiting(v1alpha1.ReasonRetiring, fmt.Sprintf("key %s was replaced and still works: %s%s", v.ID, kept[decision.Kept], moving.detail())))
			continue
		}
		r.endRetired(p, v, decision.Revoked)
	}
	p.considered = true
	return true, nil
}

// moving restarts what does not take the successor of a key by itself, and says how far
// that has come.
func (r *APIKeyReconciler) moving(ctx context.Context, p *pass) rollout {
	retiring := func(v v1alpha1.KeyVersion) bool { return v.State == v1alpha1.VersionRetiring }
	if !slices.ContainsFunc(p.key.Status.Versions, retiring) && !p.lostLately() {
		r.restarts.Delete(p.key.UID)
		return rollout{finished: true}
	}
	return r.restartConsumers(ctx, p)
}

// lostLately reports whether the key took the place of one that was revoked at once, as
// when spec.revokedKeyIDs names it, or its Secret was touched or restored, so that what took
// that has a dead key.
func (p *pass) lostLately() bool {
	active := p.active()
	lost := active.MintReason == v1alpha1.MintDrifted || active.MintReason == v1alpha1.MintRestored || active.MintReason == v1alpha1.MintRevoked
	return lost && active.ActivationTime != nil && p.now.Sub(active.ActivationTime.Time) < restartAfterLoss
}

// recheck is how often to look at what usage says: often enough to notice that a key
// has been idle.
func recheck(overlap rotation.Bounds) time.Duration {
	return min(max(overlap.Idle/4, minRetireRecheck), maxRetireRecheck)
}

// kept says for people why a key that was replaced still works.
var kept = map[rotation.Reason]string{
	rotation.KeptForMin:   "spec.rotation.overlap.min has not passed",
	rotation.KeptUnknown:  "some auth server has not told whether it is used",
	rotation.KeptMoving:   "workloads that are to take its successor are being restarted",
	rotation.KeptUnproven: "its successor has not been used yet",
	rotation.KeptInUse:    "it has been used within spec.rotation.overlap.idle",
}

// facts gathers what is known of v, which was replaced.
func (r *APIKeyReconciler) facts(p *pass, v *v1alpha1.KeyVersion) rotation.Facts {
	// Coverage first: what is gathered in between is then in the uses, and counts for less.
	coverage := r.Usage.Coverage()
	facts := rotation.Facts{
		Since:      ptr.Deref(v.ReplacementTime, v.RegistrationTime).Time,
		KnownUntil: coverage.Until,
		LastUsed:   r.lastUse(p, v),
	}
	if coverage.LastGap.After(facts.LastUsed) {
		facts.LastUsed = coverage.LastGap
	}
	for i := range p.key.Status.Versions {
		other := &p.key.Status.Versions[i]
		if succeeds(other, v) && !r.lastUse(p, other).Before(facts.Since) {
			facts.SuccessorUsed = true
		}
	}
	return facts
}

// succeeds reports whether v came into the place of old, at once or later.
func succeeds(v, old *v1alpha1.KeyVersion) bool {
	switch {
	case v.ID == old.ID || v.Imported():
		return false
	case v.State == v1alpha1.VersionActive:
		return true
	}
	return v.State == v1alpha1.VersionRetiring && v.ReplacementTime != nil && old.ReplacementTime.Before(v.ReplacementTime)
}

// lastUse is when v was last seen in use: what was gathered, or what an earlier
// manager has written down.
func (r *APIKeyReconciler) lastUse(p *pass, v *v1alpha1.KeyVersion) time.Time {
	last := ptr.Deref(v.LastUsedTime, metav1.Time{}).Time
	if use := r.Usage.Use(p.key.UID, v.ID); use.LastUsed.After(last) {
		last = use.LastUsed
	}
	return last
}

// endRetired has v be refused, and tells who is cut off by that.
func (r *APIKeyReconciler) endRetired(p *pass, v *v1alpha1.KeyVersion, reason v1alpha1.RevocationReason) {
	end(v, reason)
	r.decide(p, v)
	if reason != v1alpha1.RevokedInUse {
		return
	}
	id, use := v.ID, r.Usage.Use(p.key.UID, v.ID)
	p.tell(func(context.Context) { r.Events.retiredInUse(p.key, id, use) })
}

// reap takes the versions out of the status that no auth server accepts any more. The
// others of the APIKey work meanwhile, so nothing else waits for it.
func (r *APIKeyReconciler) reap(ctx context.Context, p *pass) (next bool, err error) {
	var ids []string
	for i := range p.observed.Status.Versions {
		if v := &p.observed.Status.Versions[i]; v.State == v1alpha1.VersionRevoked {
			ids = append(ids, v.ID)
		}
	}
	if len(ids) == 0 {
		r.endsTold.Delete(p.key.UID)
		r.Retirements.Done(p.identity())
		return true, nil
	}
	wait := r.Retirements.Wait(p.identity(), "drop "+strings.Join(ids, ", "), p.observed.ResourceVersion)
	if !wait.Worthwhile {
		p.lookAgain(registry.Patience)
		return true, nil
	}
	found, err := r.Members.Revocation(ctx, wait)
	if err != nil {
		return false, err
	}
	if !found.Complete() {
		p.lookAgain(found.Again)
		if p.now.Sub(wait.Since) >= registry.Patience {
			p.turnover = waiting(v1alpha1.ReasonRevoking, fmt.Sprintf("key %s: %s", strings.Join(ids, ", "), waitingToDrop(found)))
		}
		return true, nil
	}
	r.Retirements.Done(p.identity())
	p.key.Status.Versions = slices.DeleteFunc(p.key.Status.Versions, func(v v1alpha1.KeyVersion) bool {
		if !slices.Contains(ids, v.ID) {
			return false
		}
		// Before the write: a line twice is better than none. But not from one process: the
		// write may be kept from coming as often as somebody else writes.
		if r.firstTelling(p, v.ID) {
			r.recordEnd(ctx, p, &v)
		}
		return true
	})
	return true, nil
}

// firstTelling reports whether this process has not told yet that a version has ended.
func (r *APIKeyReconciler) firstTelling(p *pass, id string) bool {
	told := sets.New[string]()
	if known, ok := r.endsTold.Load(p.key.UID); ok {
		// A pass is the only one over its APIKey, so nobody else has it at hand.
		told = known.(sets.Set[string])
	}
	if told.Has(id) {
		return false
	}
	r.endsTold.Store(p.key.UID, told.Insert(id))
	return true
}

// recordEnd writes the audit line of a version that no auth server accepts any more.
func (r *APIKeyReconciler) recordEnd(ctx context.Context, p *pass, v *v1alpha1.KeyVersion) {
	action := audit.Revoked
	if v.ReplacementTime != nil {
		action = audit.Retired
	}
	event := audit.Event{Action: action, KeyID: v.ID, Reason: string(v.RevocationReason), Actor: r.deciderOf(p, v)}
	for _, source := range r.Usage.Use(p.key.UID, v.ID).Sources {
		event.Requests += source.Requests
	}
	r.record(ctx, p, event)
}

// announceTurnover tells what has become of keys, when the status says so.
func (r *APIKeyReconciler) announceTurnover(ctx context.Context, p *pass) {
	if p.rotated != "" {
		r.record(ctx, p, audit.Event{
			Action: audit.Rotated, KeyID: p.key.Status.KeyID, PreviousKeyID: p.rotated,
			Reason: string(p.publishedFor), Actor: actorOfVersion(p, mintCauses, p.publishedFor),
		})
		r.Events.rotated(p.key, p.rotated)
	}
	for _, announce := range p.told {
		announce(ctx)
	}
}
