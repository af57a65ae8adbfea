// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package stack

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
)

// RotateAfter is the first value of spec.rotation.rotateAfter that asks for another key in
// place of all that there are: the last registration, which may lie a second ahead.
func RotateAfter(key *v1alpha1.APIKey) *metav1.Time {
	last := key.CreationTimestamp.Time
	for i := range key.Status.Versions {
		if registered := key.Status.Versions[i].RegistrationTime.Time; registered.After(last) {
			last = registered
		}
	}
	return &metav1.Time{Time: last.Truncate(time.Second)}
}
