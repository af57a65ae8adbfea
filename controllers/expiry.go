// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/utils/ptr"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
)

// expiryWarning is a time before a key's end at which people are told of it.
type expiryWarning struct {
	within time.Duration
	// label names it in metrics, words name it to people.
	reason, label, words string
}

// expiryWarnings begin with the latest.
var expiryWarnings = []expiryWarning{
	{time.Hour, v1alpha1.ReasonWithin1Hour, "1h", "an hour"},
	{24 * time.Hour, v1alpha1.ReasonWithin1Day, "24h", "a day"},
	{7 * 24 * time.Hour, v1alpha1.ReasonWithin7Days, "168h", "7 days"},
}

// due reports whether the warning holds for key at now, and otherwise when it will:
// never, at the zero time. A key that was made with less time than that is none to be
// warned of: whoever made it knows.
func (w expiryWarning) due(key *v1alpha1.APIKey, now time.Time) (due bool, at time.Time) {
	expiry, expires := key.Expiry()
	if !expires || !now.Before(expiry.Time) {
		return false, time.Time{}
	}
	begins := expiry.Add(-w.within)
	switch {
	case !begins.After(key.CreationTimestamp.Time):
		return false, time.Time{}
	case now.Before(begins):
		return false, begins
	}
	return true, time.Time{}
}

// warningOf returns the latest warning that holds for key at now, or nil.
func warningOf(key *v1alpha1.APIKey, now time.Time) *expiryWarning {
	for i := range expiryWarnings {
		if due, _ := expiryWarnings[i].due(key, now); due {
			return &expiryWarnings[i]
		}
	}
	return nil
}

// lookAgainForExpiry has a pass come when the next warning is due, and at the end.
func lookAgainForExpiry(p *pass) {
	if expiry, ok := p.key.Expiry(); ok && p.now.Before(expiry.Time) {
		p.lookAgain(expiry.Sub(p.now))
	}
	for _, w := range expiryWarnings {
		if _, at := w.due(p.key, p.now); !at.IsZero() {
			p.lookAgain(at.Sub(p.now))
		}
	}
}

// judgeExpiry derives what the status says of the key's end. It depends on nothing
// but the APIKey and the time, so a warning that was given once stays, whichever
// process looks next: it is the condition that keeps people from being told twice.
func judgeExpiry(p *pass) {
	p.key.Status.ExpirationTime = nil
	if expiry, ok := p.key.Expiry(); ok {
		// As it is stored: whole seconds, or it would differ at each pass.
		p.key.Status.ExpirationTime = ptr.To(expiry.Rfc3339Copy())
	}
	found := finding{}
	if w := warningOf(p.key, p.now); w != nil {
		found = good(w.reason, fmt.Sprintf("the key stops working at %s, within %s: set a later %s to have it work longer",
			p.key.Status.ExpirationTime.UTC().Format(time.RFC3339), w.words, expiryField(p.key)))
	}
	setPresence(p, v1alpha1.ConditionExpiringSoon, found.ok, found)
}

// warnOfExpiry tells of a warning that a status write has brought: of each once for
// each time of expiry.
func (r *APIKeyReconciler) warnOfExpiry(p *pass) {
	before := meta.FindStatusCondition(p.observed.Status.Conditions, v1alpha1.ConditionExpiringSoon)
	after := meta.FindStatusCondition(p.key.Status.Conditions, v1alpha1.ConditionExpiringSoon)
	// The message has the time of expiry.
	if after == nil || before != nil && before.Reason == after.Reason && before.Message == after.Message {
		return
	}
	r.Events.expiringSoon(p.key, after.Message)
}

// expiryField is the field of spec that ends the key.
func expiryField(key *v1alpha1.APIKey) string {
	if key.Spec.ExpirationTime != nil {
		return "spec.expirationTime"
	}
	return "spec.ttl"
}

// expired says that the key has come to its end, and what helps.
func expired(key *v1alpha1.APIKey, at time.Time) string {
	if key.Spec.ExpirationTime != nil {
		return fmt.Sprintf("spec.expirationTime %s is in the past: set a later time, or remove it, to have the key work", at.UTC().Format(time.RFC3339))
	}
	return fmt.Sprintf("spec.ttl %s has ended at %s: set a longer one, or remove it, to have the key work", key.Spec.TTL.Duration, at.UTC().Format(time.RFC3339))
}
