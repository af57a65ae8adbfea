// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package apikey

import (
	"encoding/json"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
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

// TestTrimSecret: a Secret that merely bears our label costs next to nothing, and the
// cache never says that it is as it is to be.
