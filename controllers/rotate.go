// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/internal/audit"
	"github.com/hexcovery/apikey-operator/internal/rotation"
)

// Why a key that works is replaced.
const (
	dueTrigger  = "Trigger"
	dueInterval = "Interval"
	dueMaxAge   = "MaxKeyAge"
)

// rotate replaces the key when that is due: it registers a successor, which the next
// pass brings to the auth servers and into the Secret.
func (r *APIKeyReconciler) rotate(ctx context.Context, p *pass) (next bool, err error) {
	r.undo(p)
	p.due = p.dueNow()
	if p.due == "" {
		return true, nil
	}
	if len(p.key.Status.Versions) >= maxRotated {
		// The texts stay unheeded, so it is made up for.
		p.turnover = waiting(v1alpha1.ReasonTooManyKeys,
			fmt.Sprintf("%d keys of this APIKey still work or are being revoked: it is rotated when one of them has ended; spec.rotation.retire ends those that were replaced", len(p.key.Status.Versions)))
		p.due = ""
		return true, nil
	}
	_, err = r.mint(ctx, p)
	return false, err
}

// dueNow returns why the key is to be replaced now, or "".
func (p *pass) dueNow() string {
	spec, acted := &p.key.Spec.Rotation, p.acted()
	if spec.Trigger != acted.Trigger {
		if spec.Trigger != "" {
			return dueTrigger
		}
		p.heedTrigger()
	}
	due, at := p.schedule()
	acted = p.acted()
	acted.NextTime = nil
	if !at.IsZero() {
		acted.NextTime = ptr.To(metav1.NewTime(at.Truncate(time.Second)))
	}
	p.act(acted)
	switch {
	case at.IsZero():
		return ""
	case p.now.Before(at):
		p.lookAgain(at.Sub(p.now))
		return ""
	}
	return due
}

// schedule returns when the key is to be replaced for its age, and which age that is.
func (p *pass) schedule() (due string, at time.Time) {
	active := p.active()
	spec := &p.key.Spec.Rotation
	known := rotation.Key{
		Seed:       string(p.key.UID) + active.ID,
		Registered: active.RegisteredAt.Time,
		Activated:  ptr.Deref(active.ActivatedAt, active.RegisteredAt).Time,
	}
	var maxAge time.Duration
	if p.organization.Spec.MaxKeyAge != nil {
		maxAge = p.organization.Spec.MaxKeyAge.Duration
	}
	planned := ptr.Deref(p.acted().NextTime, metav1.Time{}).Time
	byInterval, err := rotation.NextTime(p.now, planned, spec, known, 0)
	if err != nil {
		p.turnover = stuck(v1alpha1.ReasonInvalidWindow, fmt.Sprintf("spec.rotation.window: %v; until then keys are replaced at any time", err))
	}
	// The error is the same.
	at, _ = rotation.NextTime(p.now, planned, spec, known, maxAge)
	if at.Equal(byInterval) {
		return dueInterval, at
	}
	return dueMaxAge, at
}

// undo has the key that was replaced last and its successor change places, if that was
// asked for. Auth servers accept both; the next pass brings the Secret into line.
func (r *APIKeyReconciler) undo(p *pass) {
	asked, acted := p.key.Spec.Rotation.Undo, p.acted()
	if asked == acted.Undo {
		return
	}
	acted.Undo = asked
	p.act(acted)
	if asked == "" {
		return
	}
	active, previous := p.active(), p.version(p.previous)
	if previous == nil || previous.State != v1alpha1.VersionRetiring {
		p.tell(func(context.Context) { r.Events.nothingToUndo(p.key) })
		return
	}
	p.retire(previous)
	p.activate(previous)
	from, to := active.ID, previous.ID
	p.tell(func(ctx context.Context) {
		r.record(ctx, p, audit.Event{Action: audit.RotationUndone, KeyID: to, PreviousKeyID: from})
		r.Events.undone(p.key, from, to)
	})
}

// acted returns a copy of what was acted on.
func (p *pass) acted() v1alpha1.RotationStatus {
	return ptr.Deref(p.key.Status.Rotation, v1alpha1.RotationStatus{})
}

// act notes what was acted on.
func (p *pass) act(acted v1alpha1.RotationStatus) {
	p.key.Status.Rotation = nil
	if acted != (v1alpha1.RotationStatus{}) {
		p.key.Status.Rotation = &acted
	}
}

// heedTrigger notes that the key which is being minted is what spec.rotation.trigger
// asks for. Of the first key the same goes for the other texts: there is nothing that
// they could be about.
func (p *pass) heedTrigger() {
	spec, acted := &p.key.Spec.Rotation, p.acted()
	acted.Trigger = spec.Trigger
	if p.active() == nil {
		acted.Retire, acted.Undo = spec.Retire, spec.Undo
	}
	p.act(acted)
}

// tell has something announced when the status says so.
func (p *pass) tell(announce func(context.Context)) { p.told = append(p.told, announce) }
