// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package apikey

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/internal/keys"
)

// TestTrimAPIKey: what an APIKey costs that is not permitted does not depend on what is
// stored.
func TestTrimAPIKey(t *testing.T) {
	big := strings.Repeat("a", 60<<10)
	full := func(acceptance v1alpha1.Acceptance, data string) *v1alpha1.APIKey {
		return testKey(func(k *v1alpha1.APIKey) {
			k.Spec.Secret = v1alpha1.SecretTemplate{Name: "s", Data: map[string]v1alpha1.DataTemplate{"a": v1alpha1.DataTemplate(data)}}
			k.Labels = map[string]string{"l": big}
			k.Annotations = map[string]string{"note": big, v1alpha1.AnnotationRequestedBy: "erin"}
			k.ManagedFields = []metav1.ManagedFieldsEntry{{Manager: big}}
			k.Status.Acceptance = acceptance
		})
	}
	for name, row := range map[string]struct {
		key     *v1alpha1.APIKey
		trimmed bool
		most    int
	}{
		"not permitted, large":  {full(v1alpha1.AcceptanceWithdrawn, big), true, 1000},
		"not judged yet, large": {full("", big), true, 1000},
		"not permitted, small":  {full(v1alpha1.AcceptanceWithdrawn, big[:4000]), false, 5000},
		"permitted, large":      {full(v1alpha1.AcceptanceAccepted, big), false, 65 << 10},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := TransformAPIKey(row.key); err != nil {
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

// published is a Secret as the manager writes it.
func published(change func(*corev1.Secret)) *corev1.Secret {
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "team", Name: "agent", UID: "s", ResourceVersion: "7",
			Labels:      map[string]string{v1alpha1.LabelAPIKey: "agent", "app": "agent"},
			Annotations: map[string]string{v1alpha1.AnnotationKeyID: "0123456789ab", "note": strings.Repeat("x", 4096)},
			OwnerReferences: []metav1.OwnerReference{{
				APIVersion: v1alpha1.GroupVersion.String(), Kind: "APIKey", Name: "agent", UID: "u", Controller: ptr.To(true),
			}},
		},
		Data: map[string][]byte{v1alpha1.SecretKeyAPIKey: []byte("text")},
		Type: corev1.SecretTypeOpaque,
	}
	if change != nil {
		change(secret)
	}
	return secret
}

func TestOnlyWhatCanBeOursIsCachedWhole(t *testing.T) {
	for name, change := range map[string]func(*corev1.Secret){
		"as it is written": nil,
		"with what kubectl notes": func(s *corev1.Secret) {
			s.Annotations[corev1.LastAppliedConfigAnnotation] = strings.Repeat("x", 200<<10)
		},
		"with an entry of somebody else": func(s *corev1.Secret) { s.Data["extra"] = []byte("x") },
	} {
		cached, err := TransformSecret(published(change))
		want := published(change)
		delete(want.Annotations, corev1.LastAppliedConfigAnnotation)
		keys.RedactSecretData(want.Data)
		if err != nil || !reflect.DeepEqual(cached, want) {
			t.Errorf("%s: %+v, %v", name, cached, err)
		}
	}
}

func TestWhatCannotBeOursIsCachedAsANameAndAnOwner(t *testing.T) {
	for name, change := range map[string]func(*corev1.Secret){
		"without an owner":        func(s *corev1.Secret) { s.OwnerReferences = nil },
		"of another kind":         func(s *corev1.Secret) { s.OwnerReferences[0].Kind = "ConfigMap" },
		"of another group":        func(s *corev1.Secret) { s.OwnerReferences[0].APIVersion = "example.com/v1" },
		"of no group":             func(s *corev1.Secret) { s.OwnerReferences[0].APIVersion = "a/b/c" },
		"owned, not controlled":   func(s *corev1.Secret) { s.OwnerReferences[0].Controller = nil },
		"of another type":         func(s *corev1.Secret) { s.Type = corev1.SecretTypeServiceAccountToken },
		"with a large annotation": func(s *corev1.Secret) { s.Annotations["large"] = strings.Repeat("x", cachedMeta) },
		"with many labels": func(s *corev1.Secret) {
			for i := range cachedMeta / 10 {
				s.Labels[fmt.Sprintf("label-%d", i)] = ""
			}
		},
		"with many owners": func(s *corev1.Secret) {
			for range cachedMeta / 10 {
				s.OwnerReferences = append(s.OwnerReferences, metav1.OwnerReference{Kind: "ConfigMap", Name: "owner", UID: "o-1234"})
			}
		},
		"with many entries": func(s *corev1.Secret) {
			for i := range cachedEntries {
				s.Data[fmt.Sprintf("entry-%d", i)] = nil
			}
		},
	} {
		secret := published(change)
		got, err := TransformSecret(secret)
		if err != nil {
			t.Fatal(err)
		}
		want := &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{
				Namespace: "team", Name: "agent", UID: "s", ResourceVersion: "7", Labels: map[string]string{v1alpha1.LabelAPIKey: "agent"},
			},
			Type: secret.Type,
		}
		if owner := metav1.GetControllerOf(secret); owner != nil {
			want.OwnerReferences = []metav1.OwnerReference{*owner}
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}
