// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package apikey

import (
	"encoding/hex"
	"maps"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/internal/keys"
	"github.com/hexcovery/apikey-operator/internal/lifecycle"
	"github.com/hexcovery/apikey-operator/internal/usage"
)

// writing is a look that is about to write a Secret which holds a key, and that write.
func writing(t *testing.T, objects ...client.Object) (*look, *lifecycle.SecretWrite) {
	t.Helper()
	plaintext, err := keys.Mint()
	if err != nil {
		t.Fatal(err)
	}
	id := plaintext.Digest().KeyID()
	l := &look{
		Reconciler: &Reconciler{Client: fake.NewClientBuilder().WithObjects(objects...).Build()},
		facts:      lifecycle.Facts{Now: noon, Key: testKey(func(k *v1alpha1.APIKey) { k.UID = "uid" })},
		held:       map[string]keys.Plaintext{id: plaintext},
	}
	return l, &lifecycle.SecretWrite{KeyID: id}
}

func TestNoTextOfTheKeyIsLeftOfASecret(t *testing.T) {
	l, w := writing(t)
	secret, err := l.put(t.Context(), nil, w)
	if err != nil {
		t.Fatal(err)
	}
	plaintext := string(secret.Data["api-key"])
	secret.Annotations[corev1.LastAppliedConfigAnnotation] = plaintext
	if _, err := TransformSecret(secret); err != nil {
		t.Fatal(err)
	}
	for name, value := range secret.Data {
		if strings.Contains(string(value), plaintext[4:12]) {
			t.Errorf("entry %s holds the key", name)
		}
	}
	if _, ok := secret.Annotations[corev1.LastAppliedConfigAnnotation]; ok {
		t.Error("an annotation quotes the data")
	}
	if hex.EncodeToString(secret.Data["api-key"]) != l.held[w.KeyID].Digest().String() {
		t.Error("the digest of the key is not there to be compared")
	}
}

func TestThePreviousSecretHoldsTheKeyAlone(t *testing.T) {
	l, w := writing(t)
	l.facts.Key.Spec.Secret.Annotations = map[string]v1alpha1.AnnotationValue{"reflector.example/reflect-to": "*"}
	l.facts.Key.Spec.Secret.Labels = map[string]v1alpha1.LabelValue{"app.kubernetes.io/part-of": "agent"}
	w.Previous = true
	secret, err := l.put(t.Context(), nil, w)
	if err != nil {
		t.Fatal(err)
	}
	if len(secret.Data) != 1 || secret.Name != "agent-previous" || len(secret.Annotations) != 2 || secret.Labels["app.kubernetes.io/part-of"] != "agent" {
		t.Errorf("%s has %d entries, annotations %v and labels %v", secret.Name, len(secret.Data), secret.Annotations, secret.Labels)
	}
}

// Whoever plants a Secret must not have the new key copied elsewhere by it, or kept.
func TestNothingOfASecretStaysThatIsTakenOver(t *testing.T) {
	left := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "team", Name: "agent", UID: "secret", Finalizers: []string{"example.com/keep"},
			Annotations: map[string]string{"reflector.example/reflect-to": "*"},
		},
		Data: map[string][]byte{"other": []byte("old")},
		Type: corev1.SecretTypeOpaque,
	}
	l, w := writing(t, left)
	if err := l.Get(t.Context(), client.ObjectKeyFromObject(left), left); err != nil {
		t.Fatal(err)
	}
	w.Anew = true
	got, err := l.put(t.Context(), left, w)
	if err != nil {
		t.Fatal(err)
	}
	want, err := (&look{Reconciler: &Reconciler{Client: fake.NewClientBuilder().Build()}, facts: l.facts, held: l.held}).put(t.Context(), nil, w)
	if err != nil {
		t.Fatal(err)
	}
	want.UID, want.ResourceVersion = types.UID("secret"), got.ResourceVersion
	if !equality.Semantic.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got.ObjectMeta, want.ObjectMeta)
	}
}

func TestOwnMarksGoAndOthersStay(t *testing.T) {
	secret := &corev1.Secret{}
	secret.Labels = map[string]string{"ours-old": "1", "theirs": "1"}
	secret.ManagedFields = []metav1.ManagedFieldsEntry{
		{Manager: FieldOwner, FieldsV1: metav1.NewFieldsV1(`{"f:metadata":{"f:labels":{".":{},"f:ours-old":{}},"f:annotations":{"f:note":{}}}}`)},
		{Manager: "kubectl", FieldsV1: metav1.NewFieldsV1(`{"f:metadata":{"f:labels":{"f:theirs":{}}}}`)},
	}
	got := merged(secret, "labels", secret.Labels, map[string]string{"ours-new": "1"})
	if want := map[string]string{"ours-new": "1", "theirs": "1"}; !maps.Equal(got, want) {
		t.Errorf("labels %v, want %v", got, want)
	}
}

func TestAnEventNamesTheBusiestSources(t *testing.T) {
	var sources []usage.Source
	for i := range 16 {
		sources = append(sources, usage.Source{Endpoint: "ext_authz", Gateway: "2001:db8:1111:2222:3333:4444:5555:6666", Requests: int64(100 - i)})
	}
	requests, text := sourcesOf(append(sources, usage.Source{Requests: 5}))
	if requests != 1485 || !strings.HasPrefix(text, "100 by ext_authz from 2001:") || !strings.HasSuffix(text, ", 713 from elsewhere, ") {
		t.Error(requests, text)
	}
	if len(text) > 1024-300 {
		t.Errorf("%d bytes leave no room in an event", len(text))
	}
}
