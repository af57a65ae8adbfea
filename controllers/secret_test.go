// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"encoding/hex"
	"errors"
	"maps"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/internal/keys"
)

// publishedSecret returns an APIKey with an active version, and its Secret.
func publishedSecret(t *testing.T) (*pass, *corev1.Secret) {
	t.Helper()
	plaintext, err := keys.Mint()
	if err != nil {
		t.Fatal(err)
	}
	p := passOver(v1alpha1.VersionActive)
	p.key.UID = "uid"
	version := p.current()
	version.ID, version.SHA256 = plaintext.Digest().KeyID(), plaintext.Digest().String()
	data, err := plaintext.SecretData(nil, keys.Variables{})
	if err != nil {
		t.Fatal(err)
	}
	return p, newSecret(p.key, secretContent{current: version.ID, data: data})
}

func TestStateOfASecret(t *testing.T) {
	for name, test := range map[string]struct {
		touch func(*corev1.Secret, *pass)
		want  secretState
	}{
		"as it was written":     {func(*corev1.Secret, *pass) {}, secretCurrent},
		"with marks of others":  {func(s *corev1.Secret, _ *pass) { s.Labels["other"] = "x" }, secretCurrent},
		"owned, not controlled": {func(s *corev1.Secret, _ *pass) { s.OwnerReferences[0].Controller = nil }, secretForeign},
		"another key in it":     {func(s *corev1.Secret, _ *pass) { s.Data["api-key"] = []byte("x") }, secretStale},
		"without a key in it":   {func(s *corev1.Secret, _ *pass) { delete(s.Data, "api-key") }, secretStale},
		"another entry edited":  {func(s *corev1.Secret, _ *pass) { s.Data["HEXCOVERY_API_KEY"] = []byte("x") }, secretOutdated},
		"an entry more":         {func(s *corev1.Secret, _ *pass) { s.Data["more"] = nil }, secretCurrent},
		"an entry less":         {func(s *corev1.Secret, _ *pass) { delete(s.Data, "HEXCOVERY_API_KEY") }, secretOutdated},
		"entries more, and the key edited": {func(s *corev1.Secret, _ *pass) {
			s.Data["more"], s.Data["api-key"] = nil, []byte("x")
		}, secretStale},
		"of another type":    {func(s *corev1.Secret, _ *pass) { s.Type = corev1.SecretTypeServiceAccountToken }, secretForeign},
		"a digest edited":    {func(s *corev1.Secret, _ *pass) { s.Annotations[v1alpha1.AnnotationDataDigest] = "x" }, secretOutdated},
		"no version":         {func(_ *corev1.Secret, p *pass) { p.key.Status.Versions = nil }, secretStale},
		"without our label":  {func(s *corev1.Secret, _ *pass) { s.Labels = nil }, secretOutdated},
		"with another form":  {func(_ *corev1.Secret, p *pass) { p.key.Spec.Secret.Data = map[string]v1alpha1.DataTemplate{"a": "b"} }, secretOutdated},
		"with another label": {func(_ *corev1.Secret, p *pass) { p.key.Spec.Secret.Labels = map[string]v1alpha1.LabelValue{"a": ""} }, secretOutdated},
		"with another annotation": {func(_ *corev1.Secret, p *pass) {
			p.key.Spec.Secret.Annotations = map[string]v1alpha1.AnnotationValue{"a": ""}
		}, secretOutdated},
	} {
		t.Run(name, func(t *testing.T) {
			p, secret := publishedSecret(t)
			test.touch(secret, p)
			if _, err := RedactSecret(secret); err != nil {
				t.Fatal(err)
			}
			if got := stateOf(secret, p); got != test.want {
				t.Errorf("state %d, want %d", got, test.want)
			}
		})
	}
}

func TestRedactSecretLeavesNothingOfTheKey(t *testing.T) {
	p, secret := publishedSecret(t)
	plaintext := string(secret.Data["api-key"])
	secret.Annotations[corev1.LastAppliedConfigAnnotation] = plaintext
	redacted, err := RedactSecret(secret)
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range redacted.(*corev1.Secret).Data {
		if strings.Contains(string(value), plaintext[4:12]) {
			t.Errorf("entry %s holds the key", name)
		}
	}
	if _, ok := secret.Annotations[corev1.LastAppliedConfigAnnotation]; ok {
		t.Error("an annotation quotes the data")
	}
	if hex.EncodeToString(secret.Data["api-key"]) != p.current().SHA256 {
		t.Error("the digest of the key is not there to be compared")
	}
}

func TestOwnMarksGoAndOthersStay(t *testing.T) {
	_, secret := publishedSecret(t)
	secret.Labels = map[string]string{"ours-old": "1", "theirs": "1"}
	secret.ManagedFields = []metav1.ManagedFieldsEntry{
		{Manager: FieldOwner, FieldsV1: metav1.NewFieldsV1(`{"f:metadata":{"f:labels":{".":{},"f:ours-old":{}},"f:annotations":{"f:note":{}}}}`)},
		{Manager: "kubectl", FieldsV1: metav1.NewFieldsV1(`{"f:metadata":{"f:labels":{"f:theirs":{}}}}`)},
	}
	got := merged(secret.Labels, map[string]string{"ours-new": "1"}, ownNames(secret, "labels"))
	if want := map[string]string{"ours-new": "1", "theirs": "1"}; !maps.Equal(got, want) {
		t.Errorf("labels %v, want %v", got, want)
	}
}

func TestWhatTheAPIServerSaysOfASecretIsNotRepeated(t *testing.T) {
	cause := apierrors.NewConflict(schema.GroupResource{Resource: "secrets"}, "name", errors.New("hxk_quoted"))
	err := &secretWriteError{cause: cause}
	if strings.Contains(err.Error(), "quoted") {
		t.Errorf("quotes the Secret: %s", err)
	}
	if !apierrors.IsConflict(err) {
		t.Error("a conflict is not known as one any more")
	}
	if want := `refused with reason "Conflict", code 409`; err.Error() != want {
		t.Errorf("says %q, want %q", err, want)
	}
}
