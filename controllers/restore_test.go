// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
)

// asVelero has a Secret be as Velero restores it: without owners, with marks of its own.
func asVelero(s *corev1.Secret) {
	s.OwnerReferences = nil
	s.Labels["velero.io/restore-name"] = "nightly"
}

func TestASecretFromABackup(t *testing.T) {
	for name, test := range map[string]struct {
		touch func(*corev1.Secret)
		want  secretState
	}{
		"without an owner":                 {asVelero, secretLeftover},
		"of an earlier APIKey of the name": {func(s *corev1.Secret) { s.OwnerReferences[0].UID = "earlier" }, secretLeftover},
		"of one of an earlier version of ours": {func(s *corev1.Secret) {
			s.OwnerReferences[0].UID, s.OwnerReferences[0].APIVersion = "earlier", "auth.hexcovery.io/v1"
		}, secretLeftover},
		"of an APIKey of another name": {func(s *corev1.Secret) { s.OwnerReferences[0].UID, s.OwnerReferences[0].Name = "earlier", "other" }, secretForeign},
		"of another kind":              {func(s *corev1.Secret) { s.OwnerReferences[0].UID, s.OwnerReferences[0].Kind = "earlier", "Other" }, secretForeign},
		"of another group": {func(s *corev1.Secret) {
			s.OwnerReferences[0].UID, s.OwnerReferences[0].APIVersion = "earlier", "example.com/v1"
		}, secretForeign},
		"of two owners": {func(s *corev1.Secret) {
			s.OwnerReferences[0].UID = "earlier"
			s.OwnerReferences = append(s.OwnerReferences, metav1.OwnerReference{APIVersion: "v1", Kind: "ConfigMap", Name: "c", UID: "c"})
		}, secretForeign},
		"without a label":          {func(s *corev1.Secret) { asVelero(s); delete(s.Labels, v1alpha1.LabelAPIKey) }, secretForeign},
		"with another's label":     {func(s *corev1.Secret) { asVelero(s); s.Labels[v1alpha1.LabelAPIKey] = "other" }, secretForeign},
		"without a key ID":         {func(s *corev1.Secret) { asVelero(s); delete(s.Annotations, v1alpha1.AnnotationKeyID) }, secretForeign},
		"with another key ID":      {func(s *corev1.Secret) { asVelero(s); s.Annotations[v1alpha1.AnnotationKeyID] = "000000000000" }, secretForeign},
		"without a digest":         {func(s *corev1.Secret) { asVelero(s); delete(s.Annotations, v1alpha1.AnnotationDataDigest) }, secretForeign},
		"with an entry more":       {func(s *corev1.Secret) { asVelero(s); s.Data["password"] = []byte("x") }, secretForeign},
		"with an entry less":       {func(s *corev1.Secret) { asVelero(s); delete(s.Data, "HEXCOVERY_API_KEY") }, secretForeign},
		"with another key":         {func(s *corev1.Secret) { asVelero(s); s.Data["api-key"] = []byte("x") }, secretForeign},
		"without a key":            {func(s *corev1.Secret) { asVelero(s); delete(s.Data, "api-key") }, secretForeign},
		"that cannot be changed":   {func(s *corev1.Secret) { asVelero(s); s.Immutable = ptr.To(true) }, secretForeign},
		"of another type":          {func(s *corev1.Secret) { asVelero(s); s.Type = corev1.SecretTypeBasicAuth }, secretForeign},
		"that is on its way out":   {func(s *corev1.Secret) { asVelero(s); s.DeletionTimestamp = ptr.To(metav1.NewTime(noon)) }, secretForeign},
		"that can be changed, too": {func(s *corev1.Secret) { asVelero(s); s.Immutable = ptr.To(false) }, secretLeftover},
	} {
		t.Run(name, func(t *testing.T) {
			p, secret := publishedSecret(t)
			// What it holds is no key of the APIKey that is there now.
			p.key.Status.Versions = nil
			test.touch(secret)
			if _, err := RedactSecret(secret); err != nil {
				t.Fatal(err)
			}
			if got := stateOf(secret, p); got != test.want {
				t.Errorf("state %d, want %d", got, test.want)
			}
			if p.holds != "" || p.previous != "" {
				t.Errorf("holds %q and %q", p.holds, p.previous)
			}
			if got := heldKeys(secret, p.key); len(got) != 0 {
				t.Errorf("%d keys were taken out of it", len(got))
			}
		})
	}
}

// Nor is a key of the APIKey itself relied on, once somebody has taken the owner away.
func TestASecretThatLostItsOwnerHoldsNothing(t *testing.T) {
	p, secret := publishedSecret(t)
	asVelero(secret)
	if got := heldKeys(secret, p.key); len(got) != 0 {
		t.Errorf("%d keys were taken out of it", len(got))
	}
	if _, err := RedactSecret(secret); err != nil {
		t.Fatal(err)
	}
	if got := stateOf(secret, p); got != secretLeftover || p.holds != "" {
		t.Errorf("state %d, holds %q", got, p.holds)
	}
}

// Whoever plants a Secret must not have the new key copied elsewhere by it, or kept.
func TestNothingOfASecretStaysThatIsTakenOver(t *testing.T) {
	p, left := publishedSecret(t)
	asVelero(left)
	left.UID, left.ResourceVersion = "secret", "7"
	left.Annotations["reflector.example/reflect-to"] = "*"
	left.Finalizers = []string{"example.com/keep"}
	fresh := newSecret(p.key, secretContent{current: "0123456789ab", data: map[string][]byte{"api-key": []byte("new")}})
	want := fresh.DeepCopy()
	want.UID, want.ResourceVersion = "secret", "7"
	if got := takenOver(left, fresh); !equality.Semantic.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestAStatusThatWasCopiedCountsForNothing(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*v1alpha1.APIKey)
		// own: it counts; copied: people are told that it does not.
		own, copied bool
	}{
		"its own":                    {func(k *v1alpha1.APIKey) { k.Status.UID = k.UID }, true, false},
		"another's":                  {func(k *v1alpha1.APIKey) { k.Status.UID = "earlier" }, false, true},
		"nobody's":                   {func(k *v1alpha1.APIKey) { k.Status.UID = "" }, false, true},
		"another's, without a key":   {func(k *v1alpha1.APIKey) { k.Status.UID, k.Status.Versions = "earlier", nil }, false, false},
		"none, of a new APIKey":      {func(k *v1alpha1.APIKey) { k.Status = v1alpha1.APIKeyStatus{} }, false, false},
		"its own, and its key ended": {func(k *v1alpha1.APIKey) { k.Status.UID, k.Status.Versions = k.UID, nil }, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			p := passOver(v1alpha1.VersionActive)
			p.key.UID = "uid"
			test.change(p.key)
			before := p.key.Status.DeepCopy()
			p.disclaim()
			if test.own != equality.Semantic.DeepEqual(before, &p.key.Status) && name != "none, of a new APIKey" {
				t.Errorf("the status is %+v", p.key.Status)
			}
			if p.copied != test.copied {
				t.Errorf("copied is %v", p.copied)
			}
			if got := p.broughtBack(); (got != "") != test.copied {
				t.Errorf("says %q", got)
			}
			judge(p)
			if p.key.Status.UID != "uid" {
				t.Errorf("the status is written for %q", p.key.Status.UID)
			}
		})
	}
}

func TestConflictSaysWhatToDo(t *testing.T) {
	p, secret := publishedSecret(t)
	if got := conflict(secret, p.key); !strings.Contains(got, "delete it, and it is made anew") {
		t.Error(got)
	}
	secret.Labels = nil
	if got := conflict(secret, p.key); !strings.Contains(got, "delete or rename it") {
		t.Error(got)
	}
}
