// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/internal/rotation"
)

// rotate registers a successor of the key when that is due.
func (d *decision) rotate() bool {
	due := d.due()
	switch {
	case due == "":
		return true
	case len(d.next.Versions) >= maxRotated:
		d.turnover = found(v1alpha1.ReasonTooManyKeys,
			"Not rotating: %d keys of this APIKey still work or are being revoked. spec.revokedKeyIDs ends those that were replaced.",
			len(d.next.Versions))
		return true
	}
	return d.mint(due)
}

// due returns why the key is to be replaced now, or "".
func (d *decision) due() v1alpha1.MintReason {
	planned := ptr.Deref(d.next.NextRotationTime, metav1.Time{}).Time
	spec := &d.Key.Spec
	at, why, err := rotation.Next(d.Now, planned, &spec.Rotation, scheduled(d.Key, active(&d.next)), d.maxKeyAge(), spec.ActiveKeyID != "")
	if err != nil {
		d.turnover = found(v1alpha1.ReasonInvalidWindow, "spec.rotation.window: %v. Until it is corrected keys are replaced at any time.", err)
	}
	d.next.NextRotationTime = nil
	if at.IsZero() {
		return ""
	}
	d.next.NextRotationTime = ptr.To(metav1.NewTime(at.Truncate(time.Second)))
	if d.Now.Before(at) {
		d.again(at.Sub(d.Now))
		return ""
	}
	return why
}

// maxKeyAge is the organization's; 0 for none.
func (d *decision) maxKeyAge() time.Duration {
	return ptr.Deref(d.Organization.Spec.MaxKeyAge, metav1.Duration{}).Duration
}

// scheduled is what a schedule knows of a version.
func scheduled(key *v1alpha1.APIKey, v *version) rotation.Key {
	return rotation.Key{
		Seed: string(key.UID) + v.ID, Registered: v.RegistrationTime.Time, Activated: timeOf(v.ActivationTime, v.RegistrationTime),
	}
}
