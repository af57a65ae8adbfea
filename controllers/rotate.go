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

// rotate replaces the key when that is due: it registers a successor, which the next
// pass brings to the auth servers and into the Secret.
func (r *APIKeyReconciler) rotate(ctx context.Context, p *pass) (next bool, err error) {
	p.due = p.dueNow()
	if p.due == "" {
		return true, nil
	}
	if len(p.key.Status.Versions) >= maxRotated {
		p.turnover = waiting(v1alpha1.ReasonTooManyKeys,
			fmt.Sprintf("%d keys of this APIKey still work or are being revoked: it is rotated when one of them has ended; spec.revokedKeyIDs ends those that were replaced", len(p.key.Status.Versions)))
		p.due = ""
		return true, nil
	}
	_, err = r.mint(ctx, p)
	return false, err
}

// dueNow returns why the key is to be replaced now, or "".
func (p *pass) dueNow() v1alpha1.MintReason {
	status, active := &p.key.Status, p.active()
	planned := ptr.Deref(status.NextRotationTime, metav1.Time{}).Time
	at, due, err := rotation.Next(p.now, planned, &p.key.Spec.Rotation, scheduled(p.key, active), p.maxKeyAge(), p.key.Spec.ActiveKeyID != "")
	if err != nil {
		p.turnover = stuck(v1alpha1.ReasonInvalidWindow, fmt.Sprintf("spec.rotation.window: %v; until then keys are replaced at any time", err))
	}
	status.NextRotationTime = nil
	if at.IsZero() {
		return ""
	}
	status.NextRotationTime = ptr.To(metav1.NewTime(at.Truncate(time.Second)))
	if p.now.Before(at) {
		p.lookAgain(at.Sub(p.now))
		return ""
	}
	return due
}

// scheduled is what a schedule knows of a version.
func scheduled(key *v1alpha1.APIKey, v *v1alpha1.KeyVersion) rotation.Key {
	return rotation.Key{
		Seed:       string(key.UID) + v.ID,
		Registered: v.RegistrationTime.Time,
		Activated:  ptr.Deref(v.ActivationTime, v.RegistrationTime).Time,
	}
}

// maxKeyAge is the organization's; 0 for none.
func (p *pass) maxKeyAge() time.Duration {
	if p.organization.Spec.MaxKeyAge == nil {
		return 0
	}
	return p.organization.Spec.MaxKeyAge.Duration
}

// pin has the key that spec.activeKeyID names be the current one. If that is the one that
// was replaced last the two change places, and publish brings the Secret into line.
func (r *APIKeyReconciler) pin(p *pass) {
	id, active := p.key.Spec.ActiveKeyID, p.active()
	if id == "" || active == nil || id == active.ID {
		return
	}
	pinned := p.version(id)
	switch {
	case pinned == nil || !pinned.State.Accepted():
		p.pinning = stuck(v1alpha1.ReasonActiveKeyUnavailable, fmt.Sprintf("Key %s of spec.activeKeyID does not work, and key %s is the current one. Set spec.activeKeyID to a key of status.versions, or remove it.", id, active.ID))
		return
	case id != p.previous:
		p.pinning = stuck(v1alpha1.ReasonActiveKeyUnavailable, fmt.Sprintf("Key %s of spec.activeKeyID is not in the Secret, and key %s is the current one. Set spec.activeKeyID to the key that was replaced last, or remove it.", id, active.ID))
		return
	case rotation.TooOld(p.now, &p.key.Spec.Rotation, scheduled(p.key, pinned), p.maxKeyAge()):
		p.pinning = stuck(v1alpha1.ReasonActiveKeyUnavailable, fmt.Sprintf("Key %s of spec.activeKeyID is too old for the Organization's spec.maxKeyAge, and key %s is the current one. Remove spec.activeKeyID.", id, active.ID))
		return
	}
	p.retire(pinned)
	p.activate(pinned)
	from := active.ID
	p.tell(func(ctx context.Context) {
		r.record(ctx, p, audit.Event{Action: audit.RotationUndone, KeyID: id, PreviousKeyID: from})
		r.Events.undone(p.key, from, id)
	})
}

// tell has something announced when the status says so.
func (p *pass) tell(announce func(context.Context)) { p.told = append(p.told, announce) }
