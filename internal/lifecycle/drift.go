// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
)

// A key whose Secret somebody touches is revoked at once. What takes its place comes at
// once the first time, and later and later if it happens again: who may write the Secret
// must not make the manager mint, write and audit as fast as they can write.
//
//	lost   1   2    3    4    …   11      12 and more
//	wait   0   1s   2s   4s       8m32s   10m
//
// How often it was is in the status, so that no restart of a manager begins anew. While
// it is put off there is no key: nothing that was revoked is accepted. What is only put
// right, without a new key, is put off in the same way; nobody loses a key by that, so the
// count need not outlive the process.
const (
	driftDelay    = time.Second
	driftMaxDelay = 10 * time.Minute
	// driftForgotten is how long nobody may have touched the Secret for the next time to
	// be a first one again.
	driftForgotten = 2 * driftMaxDelay
)

// backOff is how long after the last of count times the next attempt is made.
func backOff(count int32) time.Duration {
	if count < 2 {
		return 0
	}
	// With more doublings it is more than the most in any case.
	return min(driftDelay<<min(count-2, 10), driftMaxDelay)
}

// backOffLeft is what is left of that at now; 0 for nothing. A clock that was set back makes
// nobody wait for longer than the whole.
func backOffLeft(count int32, last, now time.Time) time.Duration {
	delay := backOff(count)
	return max(0, min(delay, last.Add(delay).Sub(now)))
}

// Another counts one more time at now, and begins anew if the last was long ago.
func Another(count int32, last, now time.Time) int32 {
	if count > 0 && now.Sub(last) < driftForgotten {
		return count + 1
	}
	return 1
}

// noteDrift counts that the key was lost; id is its ID, where another takes its place.
func (d *decision) noteDrift(id string) {
	before := ptr.Deref(d.next.Drift, v1alpha1.DriftStatus{})
	d.next.Drift = &v1alpha1.DriftStatus{
		Count: Another(before.Count, before.LastTime.Time, d.Now), LastTime: metav1.NewTime(d.Now.Truncate(time.Second)), LostKeyID: id,
	}
}

// backsOff reports whether no key is minted yet because too many were lost, and says so.
func (d *decision) backsOff() bool {
	drift := ptr.Deref(d.next.Drift, v1alpha1.DriftStatus{})
	left := backOffLeft(drift.Count, drift.LastTime.Time, d.Now)
	if left == 0 {
		return false
	}
	// The same at each look, or each would be a write.
	d.publication = found(v1alpha1.ReasonDriftBackOff,
		"The Secret was deleted, edited or replaced %d times in a row. The next key is minted at %s. "+
			"Find out what changes the Secret, and stop it.",
		drift.Count, drift.LastTime.Add(backOff(drift.Count)).UTC().Format(time.RFC3339))
	d.again(left)
	return true
}
