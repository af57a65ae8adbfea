// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
)

// TestTrimAPIKey: what an APIKey costs that is not permitted does not depend on what is
// stored.
func TestTrimAPIKey(t *testing.T) {
	big := strings.Repeat("a", 60<<10)
	full := func(permitted metav1.ConditionStatus, data string) *v1alpha1.APIKey {
		return testKey(func(k *v1alpha1.APIKey) {
			k.Spec.Secret = v1alpha1.SecretTemplate{Name: "s", Data: map[string]v1alpha1.DataTemplate{"a": v1alpha1.DataTemplate(data)}}
			k.Labels = map[string]string{"l": big}
			k.Annotations = map[string]string{"note": big, v1alpha1.AnnotationRequestedBy: "erin"}
			k.ManagedFields = []metav1.ManagedFieldsEntry{{Manager: big}}
			k.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionPermitted, Status: permitted}}
		})
	}
	for name, row := range map[string]struct {
		key     *v1alpha1.APIKey
		trimmed bool
		most    int
	}{
		"not permitted, large":  {full(metav1.ConditionFalse, big), true, 1000},
		"not judged yet, large": {full(metav1.ConditionUnknown, big), true, 1000},
		"not permitted, small":  {full(metav1.ConditionFalse, big[:4000]), false, 5000},
		"permitted, large":      {full(metav1.ConditionTrue, big), false, 65 << 10},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := trimAPIKey(row.key); err != nil {
				t.Fatal(err)
			}
			if kept, _ := json.Marshal(row.key); len(kept) > row.most || row.key.Trimmed != row.trimmed {
				t.Errorf("%d bytes are kept, trimmed %t", len(kept), row.key.Trimmed)
			}
			if row.key.Annotations[v1alpha1.AnnotationRequestedBy] != "erin" || row.key.SecretName() != "s" {
				t.Errorf("got %+v", row.key)
			}
			// A write changes nothing of what was left out.
			changed := row.key.DeepCopy()
			changed.Finalizers = append(changed.Finalizers, v1alpha1.Finalizer)
			patch, err := client.MergeFrom(row.key).Data(changed)
			if want := `{"metadata":{"finalizers":["auth.hexcovery.io/revoke"]}}`; err != nil || string(patch) != want {
				t.Errorf("the patch is %s, %v", patch, err)
			}
		})
	}
}

// TestTrimSecret: a Secret that merely bears our label costs next to nothing, and the
// cache never says that it is as it is to be.
func TestTrimSecret(t *testing.T) {
	p := passOver(v1alpha1.VersionActive)
	p.key.UID, p.key.Status.Versions[0].SHA256 = "u-1", strings.Repeat("a", 64)
	large := map[string][]byte{}
	for i := range 5000 {
		large[fmt.Sprintf("entry-%d-%s", i, strings.Repeat("a", 100))] = []byte("x")
	}
	secret := func(owners ...metav1.OwnerReference) *corev1.Secret {
		return &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{
				Namespace: "team", Name: "agent", UID: "s-1", ResourceVersion: "7", OwnerReferences: owners,
				Labels:      map[string]string{v1alpha1.LabelAPIKey: "agent", "other": "x"},
				Annotations: map[string]string{"note": strings.Repeat("a", 200<<10)},
			},
			Data: large,
		}
	}
	own := *metav1.NewControllerRef(p.key, v1alpha1.GroupVersion.WithKind("APIKey"))
	for name, row := range map[string]struct {
		secret *corev1.Secret
		state  secretState
	}{
		"without an owner":  {secret(), secretForeign},
		"of another kind":   {secret(metav1.OwnerReference{Kind: "Certificate", UID: "c-1", Controller: own.Controller}), secretForeign},
		"our own, enormous": {secret(own), secretStale},
	} {
		t.Run(name, func(t *testing.T) {
			trimmed, err := trimSecret(row.secret)
			if err != nil {
				t.Fatal(err)
			}
			kept, _ := json.Marshal(trimmed)
			if len(kept) > 1000 {
				t.Errorf("%d bytes are kept", len(kept))
			}
			got := trimmed.(*corev1.Secret)
			if got.UID != "s-1" || got.ResourceVersion != "7" || got.Labels[v1alpha1.LabelAPIKey] != "agent" {
				t.Errorf("got %+v", got)
			}
			if state := stateOf(got, p); state != row.state {
				t.Errorf("is taken for %d, want %d", state, row.state)
			}
		})
	}
	ordinary := secret(own)
	ordinary.Data, ordinary.Annotations = map[string][]byte{"api-key": []byte("k")}, map[string]string{"note": "kept"}
	if got, err := trimSecret(ordinary); err != nil || got.(*corev1.Secret).Annotations["note"] != "kept" || len(got.(*corev1.Secret).Data["api-key"]) != 32 {
		t.Errorf("an ordinary one: got %+v, %v", got, err)
	}
}
