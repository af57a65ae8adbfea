// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
)

// told is a transition in words: what, the key, the key before it, and why.
func told(list []Transition) string {
	var words []string
	for _, tr := range list {
		word := string(tr.What)
		for _, id := range []string{tr.KeyID, tr.PreviousKeyID} {
			if id != "" {
				word += " " + names[id]
			}
		}
		if tr.Reason != "" {
			word += " (" + tr.Reason + ")"
		}
		words = append(words, word)
	}
	return strings.Join(words, ", ")
}

// saying has the status have a condition.
func saying(kind, reason, message string) func(*status) {
	return func(s *status) {
		SetCondition(&s.Conditions, kind, conditionStatus[good[reason]], reason, message, generation, noon)
	}
}

func accepting(acceptance v1alpha1.Acceptance) func(*status) {
	return func(s *status) { s.Acceptance = acceptance }
}

// became is a status with these versions, after some changes.
func became(f *Facts, versions string, changes ...func(*status)) *status {
	after := f.Key.Status.DeepCopy()
	after.Versions = versionsOf(versions)
	for _, change := range changes {
		change(after)
	}
	return after
}

// mintedFor has the last version be minted for a reason.
func mintedFor(reason v1alpha1.MintReason) func(*status) {
	return func(s *status) { s.Versions[len(s.Versions)-1].MintReason = reason }
}

func lost(name string) func(*status) {
	return func(s *status) { s.Drift = &v1alpha1.DriftStatus{Count: 2, LastTime: at(0), LostKeyID: idOf(name)} }
}

func TestTransitionsOfVersions(t *testing.T) {
	for name, test := range map[string]struct {
		before, after string
		changes       []func(*status)
		want          string
	}{
		"nothing has happened":                                   {"a:Active", "a:Active", nil, ""},
		"a key is minted":                                        {"", "a:Pending", []func(*status){mintedFor("Requested")}, "Minted a (Requested)"},
		"a successor is minted":                                  {"a:Active", "a:Active b:Pending", nil, "Minted b (Interval)"},
		"one in place of a leaked one":                           {"a:Active", "a:Revoked(Requested) b:Pending", []func(*status){mintedFor("KeyRevoked")}, "Minted b (KeyRevoked)"},
		"one in place of a lost one":                             {"a:Active", "a:Revoked(SecretDrifted) b:Pending", []func(*status){mintedFor("SecretDrifted")}, "Repaired b a (SecretDrifted)"},
		"one in place of one from a backup":                      {"", "a:Pending", []func(*status){mintedFor("Restored")}, "Restored a (Restored)"},
		"a key is imported":                                      {"a:Active", "a:Active +x:Pending", nil, "Imported x"},
		"an imported one works":                                  {"a:Active +x:Pending", "a:Active +x:Active", nil, ""},
		"an imported one retires":                                {"a:Pending +x:Active", "a:Active +x:Retiring", nil, "Published a (Interval)"},
		"the first is published":                                 {"a:Pending", "a:Active", nil, "Published a (Interval)"},
		"a rotation":                                             {"a:Active b:Pending", "a:Retiring b:Active", nil, "Published b a (Interval), Rotated b a (Interval)"},
		"a rotation is undone":                                   {"a:Retiring b:Active", "a:Active b:Retiring", nil, "Undone a b"},
		"a key ends in use":                                      {"a:Retiring b:Active", "a:Revoked(MaxReachedInUse) b:Active", nil, "InUse a"},
		"a key ends out of use":                                  {"a:Retiring b:Active", "a:Revoked(Unused) b:Active", nil, ""},
		"a key that is another's":                                {"a:Active", "a:Revoked(DuplicateDigest) b:Pending", nil, "Duplicated a, Minted b (Interval)"},
		"an imported one that is another's is told as an import": {"a:Active +x:Active", "a:Active +x:Revoked(DuplicateDigest)", nil, ""},
		"one that was revoked is dropped by all":                 {"a:Revoked(Unused) b:Active", "b:Active", nil, "Ended a (Unused)"},
		"some are":                                               {"a:Revoked(Unused) +x:Revoked(Unlisted) b:Active", "b:Active", nil, "Ended a (Unused), Ended x (Unlisted)"},
		"at once with another":                                   {"a:Revoked(Requested)", "b:Pending", nil, "Minted b (Interval), Ended a (Requested)"},
	} {
		t.Run(name, func(t *testing.T) {
			f := given(test.before)
			if got := told(Transitions(f, became(f, test.after, test.changes...))); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
	f := given("a:Revoked(SecretDrifted)", stored(lost("a")))
	if got := told(Transitions(f, became(f, "a:Revoked(SecretDrifted) b:Pending", mintedFor("SecretDrifted")))); got != "Repaired b a (SecretDrifted)" {
		t.Errorf("in place of one that was lost before: %s", got)
	}
	f = given("a:Active", stored(func(s *status) { s.UID = "earlier" }))
	if got := told(Transitions(f, became(f, "b:Pending", mintedFor("Restored")))); got != "Restored b (Restored)" {
		t.Errorf("what a backup has brought is told to have ended: %s", got)
	}
}

func TestWhatIsToldOfAnEnd(t *testing.T) {
	f := given("a:Revoked(Requested) b:Active", used("a", 0))
	v := &f.Key.Status.Versions[0]
	v.RevokedBy, v.ReplacementTime = &v1alpha1.UserReference{Username: "jane"}, &metav1.Time{Time: noon}
	list := Transitions(f, became(f, "b:Active"))
	if len(list) != 1 || !list[0].Early || !list[0].Replaced || list[0].RevokedBy.Username != "jane" || list[0].Use.Requests != 7 {
		t.Errorf("an end: %+v", list)
	}
	v.ReplacementTime = nil
	if list := Transitions(f, became(f, "b:Active")); list[0].Replaced {
		t.Error("one that was never replaced is said to have retired")
	}
	f = given("a:Retiring b:Active", used("a", 0))
	if list := Transitions(f, became(f, "a:Revoked(MaxReachedInUse) b:Active")); list[0].Early || list[0].Use.From != "7 by nginx" {
		t.Errorf("an end in use: %+v", list)
	}
}

func TestTransitionsOfAdmission(t *testing.T) {
	const permitted, refusing = v1alpha1.ReasonPermitted, v1alpha1.ReasonNamespaceNotPermitted
	is := func(reason string) func(*status) { return saying(v1alpha1.ConditionPermitted, reason, "says "+reason) }
	for name, test := range map[string]struct {
		versions      string
		before, after []func(*status)
		want          string
	}{
		"a new APIKey is refused":             {"", nil, []func(*status){is(refusing), accepting("Withdrawn")}, "Refused (NamespaceNotPermitted)"},
		"once":                                {"", []func(*status){is(refusing), accepting("Withdrawn")}, []func(*status){is(refusing)}, ""},
		"for another reason":                  {"", []func(*status){is(refusing), accepting("Withdrawn")}, []func(*status){is("OrganizationNotFound")}, "Refused (OrganizationNotFound)"},
		"one that works is refused":           {"a:Active", []func(*status){is(permitted)}, []func(*status){is(refusing), accepting("Withdrawn")}, "Refused a (NamespaceNotPermitted)"},
		"its Organization is suspended":       {"a:Active", []func(*status){is(permitted)}, []func(*status){is("OrganizationSuspended"), accepting("Withdrawn")}, "Suspended a (OrganizationSuspended)"},
		"it is blocked":                       {"a:Active", []func(*status){is(permitted)}, []func(*status){is("Blocked"), accepting("Withdrawn")}, "Suspended a (Blocked)"},
		"one without a key is blocked":        {"", nil, []func(*status){is("Blocked"), accepting("Withdrawn")}, "Refused (Blocked)"},
		"it is suspended":                     {"a:Active", []func(*status){is(permitted)}, []func(*status){is(permitted), accepting("Withdrawn")}, "Suspended a (Suspended)"},
		"it expires":                          {"a:Active", []func(*status){is(permitted)}, []func(*status){is(permitted), accepting("Expired")}, "Expired a (Expired)"},
		"it is suspended, and expires":        {"a:Active", []func(*status){is(permitted), accepting("Withdrawn")}, []func(*status){is(permitted), accepting("Expired")}, "Expired a (Expired)"},
		"it is resumed":                       {"a:Active", []func(*status){is(permitted), accepting("Withdrawn")}, []func(*status){is(permitted), accepting("Accepted")}, "Resumed a (Suspended)"},
		"it expires later":                    {"a:Active", []func(*status){is(permitted), accepting("Expired")}, []func(*status){is(permitted), accepting("Accepted")}, "Resumed a (Expired)"},
		"it is permitted again":               {"a:Active", []func(*status){is(refusing), accepting("Withdrawn")}, []func(*status){is(permitted), accepting("Accepted")}, "Resumed a (NamespaceNotPermitted)"},
		"one without a key is no news":        {"", []func(*status){is(refusing), accepting("Withdrawn")}, []func(*status){is(permitted), accepting("Accepted")}, ""},
		"nor is a new one that works":         {"", nil, []func(*status){is(permitted), accepting("Accepted")}, ""},
		"it reaches more scopes":              {"a:Active", []func(*status){is(permitted), scopes("ingest")}, []func(*status){scopes("ingest", "query")}, "Widened a"},
		"it reaches fewer":                    {"a:Active", []func(*status){is(permitted)}, []func(*status){scopes("ingest")}, ""},
		"it reaches others":                   {"a:Active", []func(*status){is(permitted), scopes("ingest")}, []func(*status){scopes("query")}, "Widened a"},
		"one without a key reaches more":      {"", []func(*status){scopes("ingest")}, []func(*status){scopes("ingest", "query")}, ""},
		"scopes are noted for the first time": {"a:Active", []func(*status){scopes()}, []func(*status){scopes("ingest", "query")}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			f := given(test.versions)
			f.Key.Status.Conditions, f.Key.Status.UID = nil, "uid"
			for _, change := range test.before {
				change(&f.Key.Status)
			}
			list := Transitions(f, became(f, test.versions, test.after...))
			if got := told(list); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
			for _, tr := range list {
				if tr.What == Refused && tr.Message != "says "+tr.Reason || tr.What == Widened && tr.Message != "query" {
					t.Errorf("%s says %q", tr.What, tr.Message)
				}
			}
		})
	}
}

func scopes(list ...v1alpha1.Scope) func(*status) { return func(s *status) { s.Scopes = list } }

func TestTransitionsOfConditions(t *testing.T) {
	warned := saying(v1alpha1.ConditionExpiringSoon, "Within1Day", "soon")
	backsOff := saying(v1alpha1.ConditionPublished, "DriftBackOff", "later")
	refusal := saying(v1alpha1.ConditionImported, "ImportRefused", "another's")
	refuse := func(list string) func(*status) { return func(s *status) { s.RefusedImports = hashes(list) } }
	for name, test := range map[string]struct {
		before, after []func(*status)
		want          string
	}{
		"a warning":                        {nil, []func(*status){warned}, "Warned (Within1Day)"},
		"once":                             {[]func(*status){warned}, []func(*status){warned}, ""},
		"another text of it":               {[]func(*status){saying(v1alpha1.ConditionExpiringSoon, "Within1Day", "sooner")}, []func(*status){warned}, "Warned (Within1Day)"},
		"the next key comes later":         {nil, []func(*status){backsOff}, "BackedOff (DriftBackOff)"},
		"a Secret that is there":           {nil, []func(*status){saying(v1alpha1.ConditionPublished, "Published", "there")}, ""},
		"imports are forbidden":            {nil, []func(*status){saying(v1alpha1.ConditionImported, "ImportForbidden", "no")}, "ImportStopped (ImportForbidden)"},
		"imports are too old":              {nil, []func(*status){saying(v1alpha1.ConditionImported, "ImportExpired", "no")}, "ImportStopped (ImportExpired)"},
		"imports are under way":            {nil, []func(*status){saying(v1alpha1.ConditionImported, "Importing", "soon")}, ""},
		"an import is refused":             {nil, []func(*status){refusal, refuse("x")}, "ImportStopped (ImportRefused), ImportRefused x (ImportRefused)"},
		"another one":                      {[]func(*status){refusal, refuse("x")}, []func(*status){refuse("x y")}, "ImportRefused y (ImportRefused)"},
		"those of a block are no refusals": {nil, []func(*status){saying(v1alpha1.ConditionImported, "Blocked", "no"), refuse("x")}, "ImportStopped (Blocked)"},
	} {
		t.Run(name, func(t *testing.T) {
			f := given("a:Active")
			for _, change := range test.before {
				change(&f.Key.Status)
			}
			list := Transitions(f, became(f, "a:Active", test.after...))
			if got := told(list); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
			if i := slices.IndexFunc(list, func(tr Transition) bool { return tr.What == ImportRefused }); i >= 0 && list[i].Message != hashOf(names[list[i].KeyID]) {
				t.Errorf("a refusal says %q", list[i].Message)
			}
		})
	}
}

func TestEndings(t *testing.T) {
	if got := told(Endings(given("").Key)); got != "Ended" {
		t.Errorf("without a key: %s", got)
	}
	list := Endings(given("a:Retiring b:Active").Key)
	if got := told(list); got != "Ended a, Ended b" {
		t.Errorf("with two: %s", got)
	}
	for _, tr := range list {
		if !tr.Early {
			t.Error("nobody could tell it afterwards")
		}
	}
}

// What Decide writes and what is told of it, from the first write to the last.
func TestTheLifeOfAKeyIsTold(t *testing.T) {
	f := given("", live)
	var story []string
	write := func(options ...option) {
		t.Helper()
		plan := Decide(f.with(options...))
		if plan.Step != StepStatus || plan.Asks() {
			t.Fatalf("after %q: %s", story, described(f, &plan))
		}
		if line := told(Transitions(f, &plan.Status)); line != "" {
			story = append(story, line)
		}
		if f.Fresh != nil {
			f.Minted, f.Fresh = f.Fresh.KeyID(), nil
		}
		f.Key.Status = plan.Status
	}
	write(fresh("a"))
	write(loaded("a", complete), holds("a"))
	write(always(suspend))
	write(withdrawn(complete))
	write(always(func(s *v1alpha1.APIKeySpec) { s.Suspend = false }))
	write(loadedAgain(complete), applied(complete))
	write(always(after(noon.Add(time.Second))), later(time.Second), fresh("b"))
	write(loaded("b", complete), holds("b"), holdsPrevious("a"))
	write(always(revoking("a")))
	write(dropped("a", complete))
	want := []string{
		"Minted a (Requested)", "Published a (Requested)", "Suspended a (Suspended)", "Resumed a (Suspended)", "Minted b (RotateAfter)",
		"Published b a (RotateAfter), Rotated b a (RotateAfter)", "Ended a (Requested)",
	}
	if !slices.Equal(story, want) {
		t.Errorf("got  %q\nwant %q", story, want)
	}
}
