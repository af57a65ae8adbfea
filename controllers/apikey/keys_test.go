// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package apikey

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

func testKey(change ...func(*v1alpha1.APIKey)) *v1alpha1.APIKey {
	key := &v1alpha1.APIKey{
		ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "agent", Generation: 3},
		Spec:       v1alpha1.APIKeySpec{OrganizationRef: v1alpha1.OrganizationReference{Name: "acme"}},
	}
	for _, f := range change {
		f(key)
	}
	return key
}
