// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"maps"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/internal/keys"
)

// held judges a Secret that holds key a of an APIKey with these versions, after a change.
func held(versions string, previous bool, change func(*corev1.Secret, *Facts)) holding {
	f := given(versions)
	s := secretOf(f, "a", previous)
	change(s, f)
	f.Secret.Secret = s
	d := &decision{Facts: f, next: *f.Key.Status.DeepCopy()}
	return d.holding(&f.Secret, previous)
}

func TestStateOfASecret(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*corev1.Secret, *Facts)
		want   secretState
	}{
		"as it was written":                 {func(*corev1.Secret, *Facts) {}, secretCurrent},
		"with marks of others":              {func(s *corev1.Secret, _ *Facts) { s.Labels["other"] = "x" }, secretCurrent},
		"owned, not controlled":             {func(s *corev1.Secret, _ *Facts) { s.OwnerReferences[0].Controller = nil }, secretForeign},
		"another key in it":                 {func(s *corev1.Secret, _ *Facts) { s.Data["api-key"] = []byte("x") }, secretStale},
		"without a key in it":               {func(s *corev1.Secret, _ *Facts) { delete(s.Data, "api-key") }, secretStale},
		"another entry edited":              {func(s *corev1.Secret, _ *Facts) { s.Data["HEXCOVERY_API_KEY"] = []byte("x") }, secretOutdated},
		"an entry more":                     {func(s *corev1.Secret, _ *Facts) { s.Data["more"] = nil }, secretCurrent},
		"an entry less":                     {func(s *corev1.Secret, _ *Facts) { delete(s.Data, "HEXCOVERY_API_KEY") }, secretOutdated},
		"an entry more, and the key edited": {func(s *corev1.Secret, _ *Facts) { s.Data["more"], s.Data["api-key"] = nil, []byte("x") }, secretStale},
		"of another type":                   {func(s *corev1.Secret, _ *Facts) { s.Type = corev1.SecretTypeServiceAccountToken }, secretForeign},
		"a digest edited":                   {func(s *corev1.Secret, _ *Facts) { s.Annotations[v1alpha1.AnnotationDataDigest] = "x" }, secretOutdated},
		"a key ID edited":                   {func(s *corev1.Secret, _ *Facts) { s.Annotations[v1alpha1.AnnotationKeyID] = "x" }, secretOutdated},
		"without our label":                 {func(s *corev1.Secret, _ *Facts) { s.Labels = nil }, secretOutdated},
		"no version":                        {func(_ *corev1.Secret, f *Facts) { f.Key.Status.Versions = nil }, secretStale},
		"a version that was revoked":        {func(_ *corev1.Secret, f *Facts) { f.Key.Status.Versions[0].State = v1alpha1.VersionRevoked }, secretStale},
		"a version that was imported":       {func(_ *corev1.Secret, f *Facts) { f.Key.Status.Versions[0].Origin = v1alpha1.OriginImported }, secretStale},
		"a state that nobody knows":         {func(_ *corev1.Secret, f *Facts) { f.Key.Status.Versions[0].State = "Unheard" }, secretStale},
		"with another form":                 {func(_ *corev1.Secret, f *Facts) { f.Key.Spec.Secret.Data = map[string]v1alpha1.DataTemplate{"a": "b"} }, secretOutdated},
		"with another label":                {func(_ *corev1.Secret, f *Facts) { labelled(&f.Key.Spec) }, secretOutdated},
		"with a label less":                 {func(s *corev1.Secret, f *Facts) { s.Annotations[v1alpha1.AnnotationTemplateDigest] = "that of more" }, secretOutdated},
		"with another annotation": {func(_ *corev1.Secret, f *Facts) {
			f.Key.Spec.Secret.Annotations = map[string]v1alpha1.AnnotationValue{"a": ""}
		}, secretOutdated},
		"for another organization id": {func(_ *corev1.Secret, f *Facts) { f.Key.Status.OrganizationID = "other" }, secretOutdated},
		"immutable":                   {func(s *corev1.Secret, _ *Facts) { s.Immutable = ptr.To(true) }, secretCurrent},
	} {
		t.Run(name, func(t *testing.T) {
			got := held("a:Active", false, test.change)
			if got.state != test.want {
				t.Errorf("state %d, want %d", got.state, test.want)
			}
			if holds := got.id == idOf("a"); holds != (test.want == secretCurrent || test.want == secretOutdated) || !holds && got.id != "" {
				t.Errorf("it holds %q", got.id)
			}
		})
	}
	if got := new(decision).holding(&Place{}, false); got != (holding{state: secretAbsent}) {
		t.Errorf("no Secret is %+v", got)
	}
}

// Whoever may read the previous Secret can put its key into the main one.
func TestAKeyThatRetiresIsInTheSecretOnlyAsItWasWritten(t *testing.T) {
	edit := func(s *corev1.Secret, _ *Facts) { s.Data["HEXCOVERY_API_KEY"] = []byte("x") }
	if got := held("a:Retiring b:Active", false, func(*corev1.Secret, *Facts) {}); got != (holding{secretCurrent, idOf("a")}) {
		t.Errorf("as it was written it is %+v", got)
	}
	if got := held("a:Retiring b:Active", false, edit); got != (holding{state: secretStale}) {
		t.Errorf("edited it is %+v", got)
	}
}

func TestStateOfThePreviousSecret(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*corev1.Secret, *Facts)
		want   secretState
	}{
		"as it was written":         {func(*corev1.Secret, *Facts) {}, secretCurrent},
		"an entry more is no key's": {func(s *corev1.Secret, _ *Facts) { s.Data["HEXCOVERY_API_KEY"] = []byte("x") }, secretCurrent},
		"another key in it":         {func(s *corev1.Secret, _ *Facts) { s.Data["api-key"] = []byte("x") }, secretStale},
		"a digest edited":           {func(s *corev1.Secret, _ *Facts) { s.Annotations[v1alpha1.AnnotationDataDigest] = "x" }, secretOutdated},
		"another annotation in spec": {func(_ *corev1.Secret, f *Facts) {
			f.Key.Spec.Secret.Annotations = map[string]v1alpha1.AnnotationValue{"a": ""}
		}, secretCurrent},
		"another form in spec": {func(_ *corev1.Secret, f *Facts) { f.Key.Spec.Secret.Data = map[string]v1alpha1.DataTemplate{"a": "b"} }, secretCurrent},
		"somebody else's":      {func(s *corev1.Secret, _ *Facts) { foreign(s) }, secretForeign},
		"from a backup":        {func(s *corev1.Secret, _ *Facts) { asVelero(s) }, secretLeftover},
	} {
		if got := held("a:Retiring b:Active", true, test.change); got.state != test.want {
			t.Errorf("%s: state %d, want %d", name, got.state, test.want)
		}
	}
}

func TestASecretFromABackup(t *testing.T) {
	owned := func(change func(*metav1.OwnerReference)) func(*corev1.Secret) {
		return func(s *corev1.Secret) { s.OwnerReferences[0].UID = "earlier"; change(&s.OwnerReferences[0]) }
	}
	restored := func(change func(*corev1.Secret)) func(*corev1.Secret) {
		return func(s *corev1.Secret) { asVelero(s); change(s) }
	}
	for name, test := range map[string]struct {
		change func(*corev1.Secret)
		want   secretState
	}{
		"without an owner":                               {asVelero, secretLeftover},
		"of an earlier APIKey of the name":               {owned(func(*metav1.OwnerReference) {}), secretLeftover},
		"of one of an earlier version of ours":           {owned(func(o *metav1.OwnerReference) { o.APIVersion = "auth.hexcovery.io/v1" }), secretLeftover},
		"of an APIKey of another name":                   {owned(func(o *metav1.OwnerReference) { o.Name = "other" }), secretForeign},
		"of another kind":                                {owned(func(o *metav1.OwnerReference) { o.Kind = "Other" }), secretForeign},
		"of another group":                               {owned(func(o *metav1.OwnerReference) { o.APIVersion = "example.com/v1" }), secretForeign},
		"of a group that cannot be read":                 {owned(func(o *metav1.OwnerReference) { o.APIVersion = "a/b/c" }), secretForeign},
		"of this very APIKey, which does not control it": {func(s *corev1.Secret) { s.OwnerReferences[0].Controller = nil }, secretForeign},
		"of two owners": {func(s *corev1.Secret) {
			s.OwnerReferences[0].UID = "earlier"
			s.OwnerReferences = append(s.OwnerReferences, metav1.OwnerReference{APIVersion: "v1", Kind: "ConfigMap", Name: "c", UID: "c"})
		}, secretForeign},
		"without a label":          {restored(func(s *corev1.Secret) { delete(s.Labels, v1alpha1.LabelAPIKey) }), secretForeign},
		"with another's label":     {restored(func(s *corev1.Secret) { s.Labels[v1alpha1.LabelAPIKey] = "other" }), secretForeign},
		"without a key ID":         {restored(func(s *corev1.Secret) { delete(s.Annotations, v1alpha1.AnnotationKeyID) }), secretForeign},
		"with another key ID":      {restored(func(s *corev1.Secret) { s.Annotations[v1alpha1.AnnotationKeyID] = "000000000000" }), secretForeign},
		"without a digest":         {restored(func(s *corev1.Secret) { delete(s.Annotations, v1alpha1.AnnotationDataDigest) }), secretForeign},
		"with an entry more":       {restored(func(s *corev1.Secret) { s.Data["password"] = []byte("x") }), secretForeign},
		"with an entry less":       {restored(func(s *corev1.Secret) { delete(s.Data, "HEXCOVERY_API_KEY") }), secretForeign},
		"with another key":         {restored(func(s *corev1.Secret) { s.Data["api-key"] = []byte("x") }), secretForeign},
		"without a key":            {restored(func(s *corev1.Secret) { delete(s.Data, "api-key") }), secretForeign},
		"that cannot be changed":   {restored(func(s *corev1.Secret) { s.Immutable = ptr.To(true) }), secretForeign},
		"of another type":          {restored(func(s *corev1.Secret) { s.Type = corev1.SecretTypeBasicAuth }), secretForeign},
		"that is on its way out":   {restored(func(s *corev1.Secret) { s.DeletionTimestamp = ptr.To(at(0)) }), secretForeign},
		"that can be changed, too": {restored(func(s *corev1.Secret) { s.Immutable = ptr.To(false) }), secretLeftover},
	} {
		t.Run(name, func(t *testing.T) {
			// Also of a key that the APIKey itself has: it is not relied on, once somebody has
			// taken the owner away.
			for _, versions := range []string{"", "a:Active"} {
				got := held(versions, false, func(s *corev1.Secret, _ *Facts) { test.change(s) })
				if got != (holding{state: test.want}) {
					t.Errorf("with versions %q: %+v, want %d", versions, got, test.want)
				}
			}
		})
	}
}

func TestRestore(t *testing.T) {
	copied := stored(func(s *status) { s.UID = "earlier" })
	decide(t, map[string]row{
		"a Secret from a backup is read, and another key is minted":  {facts: given("", holds("a"), secret(asVelero), live), want: "ask Digest"},
		"also where the cache shows it":                              {facts: given("", holds("a"), secret(asVelero)), want: "ask Secrets"},
		"a status and a Secret from a backup are replaced, too":      {facts: given("a:Active", copied, secret(asVelero), live, fresh("n")), want: "Status n:Pending"},
		"so is a status that is nobody's":                            {facts: given("a:Active", stored(func(s *status) { s.UID = "" }), secret(asVelero), live, fresh("n")), want: "Status n:Pending"},
		"a status alone was copied: nothing that it says is dropped": {facts: given("a:Revoked(Unused) b:Active", copied, noSecret, live, fresh("n")), want: "Status n:Pending"},
		"a suspension holds for a copy":                              {facts: given("a:Active", copied, spec(suspend)), want: "Status Withdrawn"},
		"a key that works and whose Secret lost its owner is lost":   {facts: given("a:Active", secret(asVelero), live, fresh("n")), want: "Status a:Revoked(SecretDrifted) n:Pending"},
	})
	plan := Decide(given("a:Active", copied, noSecret, live, fresh("n")))
	if plan.Status.UID != "uid" || plan.Status.KeyID != "" || plan.Status.SecretRef != nil {
		t.Errorf("the status is written for %q, with %+v", plan.Status.UID, plan.Status)
	}
}

func TestConflictSaysWhatToDo(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*corev1.Secret)
		want   string
	}{
		"its own, of another type": {func(s *corev1.Secret) { s.Type = corev1.SecretTypeBasicAuth }, `Secret "agent" is not of type Opaque. Delete it, and it is created anew.`},
		"one with its label":       {func(s *corev1.Secret) { s.OwnerReferences[0].UID = "other"; s.Immutable = ptr.To(true) }, "has the label of this APIKey, but something else owns or has changed it. Delete it, and it is created anew."},
		"somebody else's":          {foreign, `Secret "agent" exists and is not owned by this APIKey. Delete it, or create another APIKey.`},
	} {
		plan := Decide(given("a:Active", secret(test.change), live))
		if got := condition(&plan.Status, v1alpha1.ConditionPublished).Message; !strings.Contains(got, test.want) {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestWhatASecretIsToHave(t *testing.T) {
	f := given("a:Active", always(labelled), always(func(s *v1alpha1.APIKeySpec) {
		s.Secret.Annotations = map[string]v1alpha1.AnnotationValue{"note": "x"}
		s.Secret.Data = map[string]v1alpha1.DataTemplate{"config": "$(API_KEY)"}
	}))
	if got := SecretLabels(f.Key); !maps.Equal(got, map[string]string{"team": "a", v1alpha1.LabelAPIKey: "agent"}) {
		t.Errorf("labels %v", got)
	}
	names := func(annotations map[string]string) []string { return slices.Sorted(maps.Keys(annotations)) }
	if got := names(SecretAnnotations(f.Key, "id", false)); !slices.Equal(got, []string{v1alpha1.AnnotationKeyID, v1alpha1.AnnotationTemplateDigest, "note"}) {
		t.Errorf("annotations %v", got)
	}
	if got := SecretAnnotations(f.Key, "id", true); !maps.Equal(got, map[string]string{v1alpha1.AnnotationKeyID: "id"}) {
		t.Errorf("of the previous one: %v", got)
	}
	data := map[string][]byte{"api-key": nil, "config": nil, "more": nil, "HEXCOVERY_API_KEY": nil}
	if got := slices.Sorted(maps.Keys(OwnData(data, f.Key, false))); !slices.Equal(got, []string{"api-key", "config"}) {
		t.Errorf("its own entries are %v", got)
	}
	if got := slices.Sorted(maps.Keys(OwnData(data, f.Key, true))); !slices.Equal(got, []string{"api-key"}) {
		t.Errorf("those of the previous one are %v", got)
	}
	if len(data) != 4 || Variables(f.Key) != (keys.Variables{OrganizationID: "acme"}) {
		t.Error("the data was changed, or the variables are others")
	}
}

// What was data is not taken for a label of that name.
func TestTheFormTellsKindsApart(t *testing.T) {
	forms := map[string]bool{}
	for _, change := range []func(*v1alpha1.SecretTemplate){
		func(*v1alpha1.SecretTemplate) {},
		func(s *v1alpha1.SecretTemplate) { s.Data = map[string]v1alpha1.DataTemplate{"a": "b"} },
		func(s *v1alpha1.SecretTemplate) { s.Labels = map[string]v1alpha1.LabelValue{"a": "b"} },
		func(s *v1alpha1.SecretTemplate) { s.Annotations = map[string]v1alpha1.AnnotationValue{"a": "b"} },
		func(s *v1alpha1.SecretTemplate) { s.Labels = map[string]v1alpha1.LabelValue{"a": "c"} },
	} {
		key := given("a:Active").Key
		change(&key.Spec.Secret)
		forms[formDigest(key)] = true
	}
	if len(forms) != 5 {
		t.Errorf("%d forms", len(forms))
	}
}
