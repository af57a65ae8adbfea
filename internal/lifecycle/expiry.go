// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"time"

	"k8s.io/utils/ptr"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
)

// ExpiryWarning is a time before a key's end at which people are told of it.
type ExpiryWarning struct {
	Within        time.Duration // how long before the end
	Label         string        // names it in metrics
	reason, words string        // name it in conditions, and to people
}

// ExpiryWarnings begin with the latest.
var ExpiryWarnings = []ExpiryWarning{
	{time.Hour, "1h", v1alpha1.ReasonWithin1Hour, "an hour"},
	{24 * time.Hour, "24h", v1alpha1.ReasonWithin1Day, "a day"},
	{7 * 24 * time.Hour, "168h", v1alpha1.ReasonWithin7Days, "7 days"},
}

// Due reports whether the warning holds for key at now, and from when on: never, at the zero
// time. A key that was made with less time than that is none to be warned of: whoever made it
// knows.
func (w ExpiryWarning) Due(key *v1alpha1.APIKey, now time.Time) (due bool, at time.Time) {
	expiry, expires := key.Expiry()
	at = expiry.Add(-w.Within)
	if !expires || !now.Before(expiry.Time) || !at.After(key.CreationTimestamp.Time) {
		return false, time.Time{}
	}
	return !now.Before(at), at
}

// expire derives when the key ends, and has the next look come at that time, and when the
// next warning is due.
func (d *decision) expire() {
	d.next.ExpirationTime = nil
	expiry, expires := d.Key.Expiry()
	if d.Key.Refusal != "" || !expires {
		return
	}
	// As it is stored: whole seconds, or it would differ at each look.
	d.next.ExpirationTime = ptr.To(expiry.Rfc3339Copy())
	d.again(expiry.Sub(d.Now))
	for _, w := range ExpiryWarnings {
		if _, at := w.Due(d.Key, d.Now); !at.IsZero() {
			d.again(at.Sub(d.Now))
		}
	}
}

// expiring is the latest warning that holds. It depends on nothing but the APIKey and the
// time, so a warning that was given once stays, whichever process looks next.
func (d *decision) expiring() finding {
	if d.next.ExpirationTime == nil {
		return finding{}
	}
	field := "spec.expirationTime"
	if d.Key.Spec.ExpirationTime == nil {
		field = "spec.ttl"
	}
	for _, w := range ExpiryWarnings {
		if due, _ := w.Due(d.Key, d.Now); due {
			return found(w.reason, "The key stops working at %s, within %s. To have it work longer, set a later %s.",
				d.next.ExpirationTime.UTC().Format(time.RFC3339), w.words, field)
		}
	}
	return finding{}
}
