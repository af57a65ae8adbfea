// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

// Package permission is an Organization's word on which namespaces may have keys. The
// manager and each auth server judge by it, so that it stands once.
//
// It is pure. It must never permit what it cannot read.
package permission

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
)

// Namespaces are the namespaces that an Organization permits. The zero value permits
// none. It is never changed.
type Namespaces struct{ selector labels.Selector }

// Of reads spec.namespaces of an Organization. If its selector is invalid, that is the
// error, and the result permits none.
func Of(policy *v1alpha1.NamespacePolicy) (Namespaces, error) {
	if policy.Selector == nil {
		return Namespaces{}, nil
	}
	selector, err := metav1.LabelSelectorAsSelector(policy.Selector)
	if err != nil {
		return Namespaces{}, fmt.Errorf("spec.namespaces.selector: %w", err)
	}
	return Namespaces{selector}, nil
}

// Permit reports whether a namespace that has these labels may have keys.
func (n Namespaces) Permit(namespace labels.Set) bool {
	return n.selector != nil && n.selector.Matches(namespace)
}
