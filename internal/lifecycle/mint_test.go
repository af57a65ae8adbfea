// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/internal/rotation"
)

// drifted says how often the key was lost, and when last; id is that of the last one.
func drifted(count int32, ago time.Duration, name string) option {
	return stored(func(s *status) {
		s.Drift = &v1alpha1.DriftStatus{Count: count, LastTime: at(ago)}
		if name != "" {
			s.Drift.LostKeyID = idOf(name)
		}
	})
}

// asVelero has a Secret be as Velero restores it: without owners, with marks of its own.
func asVelero(s *corev1.Secret) {
	s.OwnerReferences = nil
	s.Labels["velero.io/restore-name"] = "nightly"
}

func foreign(s *corev1.Secret) { s.OwnerReferences, s.Labels = nil, nil }

func unfinalized(f *Facts) { f.Key.Finalizers = nil }

func TestMint(t *testing.T) {
	broken := always(func(s *v1alpha1.APIKeySpec) { s.Secret.Data = map[string]v1alpha1.DataTemplate{"a": "$(NOBODY)"} })
	unwritable := func(f *Facts) { f.Unwritable = "code 403" }
	full := strings.TrimSpace(strings.ReplaceAll(retiring(maxVersions), "Retiring", "Revoked(Unused)"))
	decide(t, map[string]row{
		"what is in the Secret's place is read first":          {facts: given(""), want: "ask Secrets"},
		"then a key is made":                                   {facts: given("", live), want: "ask Digest"},
		"its hash is registered":                               {facts: given("", live, fresh("n")), want: "Status n:Pending", ready: "WaitingForAuthServers", serving: "Pending", stuck: "Reconciling WaitingForAuthServers"},
		"never without the finalizer":                          {facts: given("", live, fresh("n"), unfinalized), want: "Finalizer"},
		"nor while that is refused":                            {facts: given("", live, fresh("n"), unfinalized, unwritable), want: "Status unapplied", ready: "WriteRefused", serving: "WriteRefused", stuck: "Stalled WriteRefused", again: recheckConflict},
		"one that lost its finalizer gets it back":             {facts: given("a:Active", unfinalized), want: "Finalizer"},
		"and works on while that is refused":                   {facts: given("a:Active", unfinalized, unwritable), want: "nothing"},
		"never for a form that cannot be written":              {facts: given("", live, fresh("n"), broken), want: "Status unapplied", ready: "InvalidTemplate", serving: "InvalidTemplate", stuck: "Stalled InvalidTemplate"},
		"what ends does so all the same":                       {facts: given("a:Active", broken, holds("z"), live), want: "Status a:Revoked(SecretDrifted)", ready: "InvalidTemplate", serving: "InvalidTemplate", stuck: "Stalled InvalidTemplate"},
		"never beside 16 versions":                             {facts: given(full, noSecret, live, fresh("n"), acked(Revoke, quick, "%s", strings.Join(ids("b c d e f g h i j k l m n o p q"), " "))), want: "Status " + full, ready: "NotRegistered", serving: "Pending", stuck: "Reconciling NotRegistered"},
		"until auth servers have dropped them":                 {facts: given(full, noSecret, live, fresh("n"), acked(Revoke, complete, "%s", strings.Join(ids("b c d e f g h i j k l m n o p q"), " "))), want: "Status n:Pending"},
		"a Secret in the way keeps a key from being made":      {facts: given("", holds("z"), secret(foreign), live, fresh("n")), want: "Status unapplied", ready: "SecretConflict", serving: "SecretConflict", stuck: "Stalled SecretConflict", again: recheckConflict},
		"after many losses the next key is made later":         {facts: given("a:Revoked(SecretDrifted)", dropped("a", quick), noSecret, live, fresh("n"), drifted(4, 0, "a")), want: "Status a:Revoked(SecretDrifted)", ready: "DriftBackOff", serving: "DriftBackOff", stuck: "Reconciling DriftBackOff"},
		"when the time has come it is made":                    {facts: given("a:Revoked(SecretDrifted)", dropped("a", quick), noSecret, live, fresh("n"), drifted(4, 4*time.Second, "a")), want: "Status a:Revoked(SecretDrifted) n:Pending"},
		"a revoked key may be accepted until it is dropped":    {facts: given("a:Revoked(Requested)", dropped("a", quick), noSecret, live, fresh("n"), stored(func(s *status) { s.AppliedGeneration = 0 })), want: "Status a:Revoked(Requested) n:Pending unapplied"},
		"when it is the generation is applied for want of any": {facts: given("a:Revoked(Requested)", dropped("a", complete), noSecret, live, fresh("n"), stored(func(s *status) { s.AppliedGeneration = 0 })), want: "Status n:Pending"},
	})
}

func TestWhyAKeyIsMinted(t *testing.T) {
	for name, test := range map[string]struct {
		facts *Facts
		want  v1alpha1.MintReason
	}{
		"there was none": {given(""), v1alpha1.MintRequested},
		"spec.revokedKeyIDs ends the current one":    {given("a:Active", spec(revoking("a"))), v1alpha1.MintRevoked},
		"it has ended it before":                     {given("a:Revoked(Requested)", dropped("a", quick), noSecret), v1alpha1.MintRevoked},
		"an imported key that it ended is no reason": {given("+x:Revoked(Requested)", dropped("x", quick), noSecret), v1alpha1.MintRequested},
		"the Secret was deleted":                     {given("a:Active", noSecret), v1alpha1.MintDrifted},
		"the Secret was edited":                      {given("a:Active", holds("z")), v1alpha1.MintDrifted},
		"it was lost, and another was put off":       {given("a:Revoked(SecretDrifted)", dropped("a", complete), noSecret, drifted(2, time.Minute, "a")), v1alpha1.MintDrifted},
		"it was lost long ago":                       {given("a:Revoked(Unused)", dropped("a", complete), noSecret, drifted(2, time.Minute, "")), v1alpha1.MintRequested},
		"the Secret comes from a backup":             {given("", holds("z"), secret(asVelero)), v1alpha1.MintRestored},
		"the status does":                            {given("a:Active", noSecret, stored(func(s *status) { s.UID = "earlier" })), v1alpha1.MintRestored},
		"the status did, before it was permitted":    {given("", noSecret, stored(func(s *status) { s.RestoredFrom = "earlier" })), v1alpha1.MintRestored},
		"a status without a key is no reason":        {given("", noSecret, stored(func(s *status) { s.UID = "earlier" })), v1alpha1.MintRequested},
		"an older APIKey has its hash":               {given("a:Active", func(f *Facts) { f.Senior = true }), v1alpha1.MintDuplicate},
		"the time of rotateAfter has come":           {given("a:Active", always(rotating(func(r *v1alpha1.Rotation) { r.RotateAfter = ptr.To(at(0)) }))), v1alpha1.MintRotateAfter},
		"it is as old as the interval":               {given("a:Active", always(rotating(func(r *v1alpha1.Rotation) { r.Interval = &metav1.Duration{Duration: time.Hour} })), stored(func(s *status) { s.NextRotationTime = ptr.To(at(0)) })), v1alpha1.MintInterval},
		"it is about to be as old as maxKeyAge":      {given("a:Active", aging(2*time.Hour)), v1alpha1.MintMaxKeyAge},
		"one was abandoned: for its own reason":      {given("a:Pending", noSecret), v1alpha1.MintInterval},
		"one was abandoned while another works":      {given("a:Active b:Pending", marked("b")), v1alpha1.MintInterval},
		"one was given up by a mark": {
			given("a:Active b:Pending", marked("b"), minted("b"), loaded("b", complete)), v1alpha1.MintInterval},
	} {
		t.Run(name, func(t *testing.T) {
			plan := Decide(test.facts.with(live, fresh("n")))
			v := versionOf(&plan.Status, idOf("n"))
			if v == nil {
				t.Fatalf("none is: %s", described(test.facts, &plan))
			}
			if v.MintReason != test.want || v.State != v1alpha1.VersionPending || v.SHA256 != hashOf("n") || !v.RegistrationTime.Time.Equal(rotation.RegisteredAt(noon, &test.facts.Key.Spec.Rotation)) || v.Origin != "" {
				t.Errorf("minted as %+v, want %s", v, test.want)
			}
			if drift := plan.Status.Drift; drift != nil && drift.LostKeyID != "" {
				t.Errorf("it is still missing: %+v", drift)
			}
		})
	}
}

// What comes from a backup is told from what is new, also if it is permitted later.
func TestWhatABackupHasBroughtIsRemembered(t *testing.T) {
	f := given("a:Active", unpermitted, confirmed, noSecret, stored(func(s *status) { s.UID = "earlier" }))
	for _, generation := range []int64{1, 2} {
		f.Key.Generation = generation
		if FromBackup(f.Key) != (generation == 1) {
			t.Errorf("generation %d: %t", generation, FromBackup(f.Key))
		}
	}
	f.Key.Generation = 1
	f.Key.Status = Decide(f).Status
	if f.Key.Status.RestoredFrom != "earlier" || len(f.Key.Status.Versions) > 0 || !FromBackup(f.Key) {
		t.Errorf("of a backup stays %+v", f.Key.Status)
	}
	permitted := given("", noSecret, live, fresh("n"))
	permitted.Key.Status.RestoredFrom = f.Key.Status.RestoredFrom
	plan := Decide(permitted)
	if v := versionOf(&plan.Status, idOf("n")); v == nil || v.MintReason != v1alpha1.MintRestored || plan.Status.RestoredFrom != "" {
		t.Errorf("minted as %+v, from %q", v, plan.Status.RestoredFrom)
	}
	for name, unknown := range map[string]*Facts{
		"a new APIKey":           given(""),
		"one with its own keys":  given("a:Active"),
		"a status without a key": given("", stored(func(s *status) { s.UID = "earlier" })),
	} {
		if FromBackup(unknown.Key) {
			t.Errorf("%s is from a backup", name)
		}
	}
}

func TestRegister(t *testing.T) {
	decide(t, map[string]row{
		// Drift.
		"a Secret that the cache does not show is looked for": {facts: given("a:Active", noSecret), want: "ask Secrets"},
		"one that is lost has its key end with the write that registers another": {
			facts: given("a:Active", noSecret, live, fresh("n")), want: "Status a:Revoked(SecretDrifted) n:Pending"},
		"so does a key that retires: it may have been copied, too": {
			facts: given("a:Retiring b:Active", noSecret, live, fresh("n")), want: "Status a:Revoked(SecretDrifted) b:Revoked(SecretDrifted) n:Pending"},
		"what was imported works on": {
			facts: given("a:Active +x:Active", noSecret, live, fresh("n")), want: "Status a:Revoked(SecretDrifted) +x:Active n:Pending"},
		"a second loss ends the key at once, and another comes later": {
			facts: given("a:Active", noSecret, live, fresh("n"), drifted(1, time.Minute, "")), want: "Status a:Revoked(SecretDrifted)", again: time.Second},
		"the key that was replaced, put in the place of the current one, is a loss": {
			facts: given("a:Retiring b:Active", holds("a"), live, fresh("n")), want: "Status a:Revoked(SecretDrifted) b:Revoked(SecretDrifted) n:Pending"},
		"also where the two Secrets have changed places": {
			facts: given("a:Retiring b:Active", holds("a"), holdsPrevious("b"), live, fresh("n")), want: "Status a:Revoked(SecretDrifted) b:Revoked(SecretDrifted) n:Pending"},
		"unless the two have changed places, and the Secret was not written since": {
			facts: given("a:Active b:Retiring", holds("b"), stored(func(s *status) { s.KeyID = idOf("b") }), live, func(f *Facts) { f.Held.Insert(idOf("a")) }), want: "Secret a"},
		"a key that is in no Secret and not held is a loss": {
			facts: given("a:Active b:Retiring", holds("b"), stored(func(s *status) { s.KeyID = idOf("b") }), live, fresh("n")),
			want:  "Status a:Revoked(SecretDrifted) b:Revoked(SecretDrifted) n:Pending"},

		// Conflict.
		"a Secret of somebody else ends the key, and none is minted": {
			facts: given("a:Active", secret(foreign), live, fresh("n")), want: "Status a:Revoked(SecretConflict)",
			ready: "SecretConflict", serving: "SecretConflict", stuck: "Stalled SecretConflict", again: recheckConflict},
		"so does one of another type": {
			facts: given("a:Active", secret(func(s *corev1.Secret) { s.Type = corev1.SecretTypeBasicAuth }), live), want: "Status a:Revoked(SecretConflict)"},
		"a cache is not believed": {facts: given("a:Active", secret(foreign)), want: "ask Secrets"},

		// Another's hash.
		"a key whose hash an older APIKey has ends, and another is minted": {
			facts: given("a:Active", func(f *Facts) { f.Senior = true }, fresh("n")), want: "Status a:Revoked(DuplicateDigest) n:Pending"},

		// A version that is on its way.
		"nothing is read while the first key waits for auth servers": {
			facts: given("a:Pending", noSecret, minted("a"), loaded("a", quick)), want: "Status a:Pending"},
		"a successor goes on": {facts: given("a:Active b:Pending", minted("b")), want: "ask register key b, generation 3"},
		"the first key of another process is given up for another": {
			facts: given("a:Pending", live, fresh("n")), want: "Status a:Revoked(Abandoned) n:Pending"},
		"a successor that another process minted is given up after a mark": {
			facts: given("a:Active b:Pending", live, fresh("n")), want: "Secret a mark b"},
		"for which the Secret is read": {facts: given("a:Active b:Pending", fresh("n")), want: "ask Secrets"},
		"the mark is there: another takes its place": {
			facts: given("a:Active b:Pending", marked("b"), live, fresh("n")), want: "Status a:Active b:Revoked(Abandoned) n:Pending"},
		"one that has come into the Secret is not given up": {
			facts: given("a:Active b:Pending", holds("b")), want: "ask register key b, generation 3"},
		"nor the first one": {facts: given("a:Pending", holds("a")), want: "ask register key a, generation 3"},
		"a loss while a successor is on its way ends both": {
			facts: given("a:Active b:Pending", noSecret, live, minted("b"), fresh("n")), want: "Status a:Revoked(SecretDrifted) b:Revoked(SecretDrifted) n:Pending"},
		"a mark that the Secret's policies refuse is waited for": {
			facts: given("a:Active b:Pending", live, func(f *Facts) { f.Refusal = "code 403" }), want: "Status a:Active b:Pending",
			ready: "SecretRefused", serving: "Active", stuck: "Stalled SecretRefused", again: recheckConflict},
	})
}
