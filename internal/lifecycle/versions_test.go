// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"testing"
	"time"

	"k8s.io/utils/ptr"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
)

func TestWhichVersionIsWhich(t *testing.T) {
	for name, test := range map[string]struct {
		versions                           string
		pending, active, current, previous string
	}{
		"no version":                                    {"", "", "", "", ""},
		"one on its way":                                {"a:Pending", "a", "", "a", ""},
		"one that is published":                         {"a:Active", "", "a", "a", ""},
		"one on its way to take another's place":        {"a:Active b:Pending", "b", "a", "b", ""},
		"one that was replaced":                         {"a:Retiring b:Active", "", "b", "b", "a"},
		"two that were replaced":                        {"a:Retiring b:Retiring c:Active", "", "c", "c", "b"},
		"one that was revoked is none of them":          {"a:Revoked", "", "", "", ""},
		"imported ones are none of them":                {"+x:Pending +y:Active +z:Retiring", "", "", "", ""},
		"imported ones beside one that is minted":       {"a:Active +x:Pending +y:Active +z:Retiring", "", "a", "a", ""},
		"of two that are Active, by a fault, the later": {"a:Active b:Active", "", "b", "b", ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := &status{Versions: versionsOf(test.versions)}
			for what, pair := range map[string]struct {
				got  *version
				want string
			}{"pending": {pending(s), test.pending}, "active": {active(s), test.active}, "current": {current(s), test.current}, "previous": {previousOf(s), test.previous}} {
				got := ""
				if pair.got != nil {
					got = names[pair.got.SHA256]
				}
				if got != pair.want {
					t.Errorf("%s is %q, want %q", what, got, pair.want)
				}
			}
		})
	}
}

func TestThePreviousOneIsTheLastThatWasReplacedAndNotTheLastThatWasMinted(t *testing.T) {
	s := &status{Versions: versionsOf("a:Retiring b:Retiring c:Active")}
	s.Versions[0].ReplacementTime = ptr.To(at(time.Minute))
	if got := previousOf(s); got.ID != idOf("a") {
		t.Errorf("it is %s", names[got.SHA256])
	}
	s.Versions[0].ReplacementTime = nil
	if got := previousOf(s); got.ID != idOf("b") {
		t.Errorf("without a time it is %s", names[got.SHA256])
	}
}

func TestActivation(t *testing.T) {
	for name, test := range map[string]struct{ versions, activated, want string }{
		"the first key":                          {"a:Pending", "a", "a:Active"},
		"a successor":                            {"a:Active b:Pending", "b", "a:Retiring b:Active"},
		"one that was replaced, once more":       {"a:Retiring b:Active", "a", "a:Active b:Retiring"},
		"imported keys work on beside the first": {"+x:Active +y:Pending a:Pending", "a", "+x:Active +y:Pending a:Active"},
		"imported keys retire with the first":    {"+x:Active +y:Pending a:Active b:Pending", "b", "+x:Retiring +y:Retiring a:Retiring b:Active"},
		"what has ended stays so":                {"a:Revoked(Unused) b:Active c:Pending", "c", "a:Revoked(Unused) b:Retiring c:Active"},
		"another minted key on its way stays so": {"a:Pending b:Pending", "a", "a:Active b:Pending"},
	} {
		t.Run(name, func(t *testing.T) {
			d := &decision{Facts: given(""), next: status{Versions: versionsOf(test.versions)}}
			v := versionOf(&d.next, idOf(test.activated))
			if d.activate(v); states(d.next.Versions) != test.want {
				t.Errorf("got %s", states(d.next.Versions))
			}
			for i := range d.next.Versions {
				other := &d.next.Versions[i]
				changed := other.State != versionsOf(test.versions)[i].State
				if changed && other.State == v1alpha1.VersionRetiring && !other.ReplacementTime.Time.Equal(noon) {
					t.Errorf("%s was replaced at %s", other.ID, other.ReplacementTime)
				}
			}
			if !v.ActivationTime.Time.Equal(noon) || v.ReplacementTime != nil {
				t.Errorf("activated at %s, replaced at %s", v.ActivationTime, v.ReplacementTime)
			}
		})
	}
}

func TestWhoHasWantedAnEndIsRemembered(t *testing.T) {
	f := given("a:Active")
	d := &decision{Facts: f, next: *f.Key.Status.DeepCopy()}
	v := active(&d.next)
	if d.end(v, v1alpha1.RevokedRequested); v.State != v1alpha1.VersionRevoked || v.RevokedBy != nil {
		t.Errorf("without a name: %+v", v)
	}
	f.Key.Annotations = map[string]string{v1alpha1.AnnotationRequestedBy: "jane" + string(make([]byte, 300)), v1alpha1.AnnotationRequestedByUID: "7"}
	if d.end(v, v1alpha1.RevokedDrifted); v.RevokedBy != nil {
		t.Errorf("nobody has wanted that: %+v", v)
	}
	d.end(v, v1alpha1.RevokedRequested)
	if by := v.RevokedBy; by == nil || by.Username[:4] != "jane" || len(by.Username) > 253 || by.UID != "7" {
		t.Errorf("got %+v", by)
	}
}

func TestEndAllSparesWhatWasImported(t *testing.T) {
	f := given("a:Retiring b:Active c:Pending d:Revoked(Unused) +x:Active")
	d := &decision{Facts: f, next: *f.Key.Status.DeepCopy()}
	d.endAll(v1alpha1.RevokedDrifted, isMinted)
	want := "a:Revoked(SecretDrifted) b:Revoked(SecretDrifted) c:Revoked(SecretDrifted) d:Revoked(Unused) +x:Active"
	if got := states(d.next.Versions); got != want {
		t.Errorf("got %s", got)
	}
}
