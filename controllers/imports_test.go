// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
)

// refusing has hashes be refused already.
func refusing(key *v1alpha1.APIKey, names string) *v1alpha1.APIKey {
	for name := range strings.FieldsSeq(names) {
		key.Status.RefusedImports = append(key.Status.RefusedImports, hashed(name))
	}
	return key
}

// hashed is a hash that begins with name, which is hexadecimal.
func hashed(name string) string { return name + strings.Repeat("0", 64-len(name)) }

// listing is an APIKey that lists these hashes, and has taken these up.
func listing(listed, taken string, versions ...v1alpha1.KeyVersion) *v1alpha1.APIKey {
	key := &v1alpha1.APIKey{}
	for name := range strings.FieldsSeq(listed) {
		key.Spec.ImportedKeys = append(key.Spec.ImportedKeys, v1alpha1.ImportedKey{SHA256: hashed(name)})
	}
	for name := range strings.FieldsSeq(taken) {
		key.Status.Imports = append(key.Status.Imports, hashed(name))
	}
	key.Status.Versions = versions
	return key
}

func versionOf(name string, origin v1alpha1.VersionOrigin, state v1alpha1.VersionState) v1alpha1.KeyVersion {
	return v1alpha1.KeyVersion{ID: hashed(name)[:12], SHA256: hashed(name), Origin: origin, State: state}
}

func TestPlanImports(t *testing.T) {
	const (
		active, retiring, revoked = v1alpha1.VersionActive, v1alpha1.VersionRetiring, v1alpha1.VersionRevoked
		imported                  = v1alpha1.OriginImported
	)
	minted := versionOf("cc", "", active)
	// many are so many versions that nothing is imported beside them.
	var many []v1alpha1.KeyVersion
	for i := range maxImporting {
		many = append(many, versionOf(fmt.Sprintf("d%x", i), "", retiring))
	}
	for name, test := range map[string]struct {
		key *v1alpha1.APIKey
		// policy is the Organization's; Any unless it is set.
		policy v1alpha1.ImportPolicy
		// want is what becomes of the versions: their names and states.
		want string
		// imports, ended, wanted, postponed and declined are names of two digits.
		imports, ended, wanted, postponed, declined string
		malformed                                   int
	}{
		"nothing listed":                       {key: listing("", "", minted), want: "cc Active"},
		"one listed":                           {key: listing("a1", "", minted), want: "cc Active", wanted: "a1"},
		"listed before the first key was made": {key: listing("a1", ""), wanted: "a1"},
		"two listed, one is taken up": {
			key:  listing("a1 a2", "a1", minted, versionOf("a1", imported, active)),
			want: "cc Active, a1 Active", imports: "a1", wanted: "a2",
		},
		"taken out of the list": {
			key:  listing("", "a1", minted, versionOf("a1", imported, active)),
			want: "cc Active, a1 Revoked", ended: "a1",
		},
		"taken out of the list while it retires": {
			key:  listing("a2", "a1 a2", minted, versionOf("a1", imported, retiring), versionOf("a2", imported, retiring)),
			want: "cc Active, a1 Revoked, a2 Retiring", imports: "a2", ended: "a1",
		},
		"taken out of the list, and revoked already": {
			key:  listing("", "", minted, versionOf("a1", imported, revoked)),
			want: "cc Active, a1 Revoked",
		},
		"replaced by another": {
			key:  listing("a2", "a1", minted, versionOf("a1", imported, active)),
			want: "cc Active, a1 Revoked", ended: "a1", wanted: "a2",
		},
		"retiring": {
			key:  listing("a1", "a1", minted, versionOf("a1", imported, retiring)),
			want: "cc Active, a1 Retiring", imports: "a1",
		},
		"being revoked by rotation": {
			key:  listing("a1", "a1", minted, versionOf("a1", imported, revoked)),
			want: "cc Active, a1 Revoked", imports: "a1",
		},
		"retired: it does not come back": {key: listing("a1", "a1", minted), want: "cc Active", imports: "a1"},
		"retired, and taken out of the list: it is forgotten": {
			key: listing("", "a1", minted), want: "cc Active",
		},
		"put back into the list before it is known to be dead": {
			key:  listing("a1", "", minted, versionOf("a1", imported, revoked)),
			want: "cc Active, a1 Revoked", postponed: "a1",
		},
		"put back into the list later": {key: listing("a1", "", minted), want: "cc Active", wanted: "a1"},
		"the APIKey's own key": {
			key: listing("cc", "", minted), want: "cc Active", imports: "cc",
		},
		"the APIKey's own key, which was replaced": {
			key:  listing("cc", "", versionOf("cc", "", retiring), versionOf("c2", "", active)),
			want: "cc Retiring, c2 Active", imports: "cc",
		},
		"the APIKey's own key, which has ended since": {
			key: listing("cc", "cc", versionOf("c2", "", active)), want: "c2 Active", imports: "cc",
		},
		"a version of which the status has not noted that it was taken up": {
			key:  listing("a1", "", minted, versionOf("a1", imported, active)),
			want: "cc Active, a1 Active", imports: "a1",
		},
		"the key ID of another": {
			key: listing("cc00000000001", "", minted), want: "cc Active", declined: "cc",
		},
		"two with one key ID": {
			key: listing("a1 a100000000001", ""), wanted: "a1", declined: "a1",
		},
		"no room": {
			key: listing("a1", "", many...), want: states(many), postponed: "a1",
		},
		"room for one": {
			key: listing("a1 a2", "", many[1:]...), want: states(many[1:]), wanted: "a1", postponed: "a2",
		},
		"no hash at all": {
			key: &v1alpha1.APIKey{Spec: v1alpha1.APIKeySpec{ImportedKeys: []v1alpha1.ImportedKey{{SHA256: "x"}}}}, malformed: 1,
		},
		"refused before: it is not taken up by itself": {
			key: refusing(listing("a1", "", minted), "a1"), want: "cc Active", declined: "a1",
		},
		"refused before, and another is listed beside it": {
			key: refusing(listing("a1 a2", "", minted), "a1"), want: "cc Active", wanted: "a2", declined: "a1",
		},
		"refused before, and taken out of the list: it is forgotten": {
			key: refusing(listing("a2", "a2", minted, versionOf("a2", imported, active)), "a1"), want: "cc Active, a2 Active", imports: "a2",
		},
		"refused before for a key ID that is free now": {
			key: refusing(listing("cc00000000001", "", versionOf("c2", "", active)), "cc00000000001"), want: "c2 Active", declined: "cc",
		},
		"foreign keys permitted": {
			key: listing("a1", "", minted), policy: v1alpha1.ImportForeign, want: "cc Active", wanted: "a1",
		},
		"forbidden": {
			key: listing("a1", "", minted), policy: v1alpha1.ImportForbidden, want: "cc Active",
		},
		"forbidden when it works": {
			key:    listing("a1 a2", "a1 a2", minted, versionOf("a1", imported, active), versionOf("a2", imported, retiring)),
			policy: v1alpha1.ImportForbidden, want: "cc Active, a1 Revoked, a2 Revoked", ended: "a1 a2",
		},
		"forbidden when it has retired: it does not come back when that is permitted again": {
			key: listing("a1", "a1", minted), policy: v1alpha1.ImportForbidden, want: "cc Active", imports: "a1",
		},
		"forbidden when it was refused: nor does that": {
			key: refusing(listing("a1", "", minted), "a1 a2"), policy: v1alpha1.ImportForbidden, want: "cc Active", declined: "a1",
		},
		"forbidden, and the APIKey's own key is listed": {
			key: listing("cc", "cc", minted), policy: v1alpha1.ImportForbidden, want: "cc Active", imports: "cc",
		},
	} {
		t.Run(name, func(t *testing.T) {
			before := test.key.DeepCopy()
			plan := planImports(test.key, cmp.Or(test.policy, v1alpha1.ImportAny))
			var wanted []string
			for _, digest := range plan.wanted {
				wanted = append(wanted, digest.String())
			}
			for what, pair := range map[string][2]string{
				"versions": {states(plan.versions), test.want}, "imports": {begins(plan.imports), test.imports}, "ended": {begins(plan.ended), test.ended},
				"wanted": {begins(wanted), test.wanted}, "postponed": {begins(plan.postponed), test.postponed},
				"declined": {begins(plan.declined), test.declined},
			} {
				if pair[0] != pair[1] {
					t.Errorf("%s: %q, want %q", what, pair[0], pair[1])
				}
			}
			if plan.malformed != test.malformed {
				t.Errorf("%d malformed, want %d", plan.malformed, test.malformed)
			}
			if states(test.key.Status.Versions) != states(before.Status.Versions) {
				t.Error("the APIKey itself was changed")
			}
		})
	}
}

// begins are the first two digits of each.
func begins(hashes []string) string {
	var names []string
	for _, hash := range hashes {
		names = append(names, hash[:2])
	}
	return strings.Join(names, " ")
}

func states(versions []v1alpha1.KeyVersion) string {
	var texts []string
	for _, v := range versions {
		texts = append(texts, v.SHA256[:2]+" "+string(v.State))
	}
	return strings.Join(texts, ", ")
}

func TestTakenUpIsAVersionLikeAnyOther(t *testing.T) {
	now := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	created := metav1.NewTime(now.Add(-time.Hour))
	plan := planImports(listing("a1", ""), v1alpha1.ImportAny)
	plan.take(plan.wanted[0], created, now)
	if len(plan.versions) != 1 || !slices.Equal(plan.imports, []string{hashed("a1")}) {
		t.Fatalf("%+v", plan)
	}
	v := plan.versions[0]
	if v.ID != hashed("a1")[:12] || v.SHA256 != hashed("a1") || v.State != v1alpha1.VersionActive || !v.Imported() ||
		!v.RegistrationTime.Equal(&created) || !v.ActivationTime.Time.Equal(now) {
		t.Errorf("%+v", v)
	}
	again := planImports(&v1alpha1.APIKey{
		Spec:   v1alpha1.APIKeySpec{ImportedKeys: []v1alpha1.ImportedKey{{SHA256: hashed("a1")}}},
		Status: v1alpha1.APIKeyStatus{Versions: plan.versions, Imports: plan.imports},
	}, v1alpha1.ImportAny)
	if states(again.versions) != states(plan.versions) || !slices.Equal(again.imports, plan.imports) || len(again.wanted)+len(again.postponed)+len(again.declined) != 0 {
		t.Errorf("the next pass finds something to do: %+v", again)
	}
}

// Taking an entry out of the list and putting it back makes a key no younger.
func TestAnImportedKeyNeverGetsYounger(t *testing.T) {
	created := metav1.NewTime(time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC))
	key := listing("a1", "")
	for day := range 100 {
		plan := planImports(key, v1alpha1.ImportForeign)
		if len(plan.wanted) != 1 {
			t.Fatalf("day %d: %+v", day, plan)
		}
		plan.take(plan.wanted[0], created, created.AddDate(0, 0, day))
		if got := plan.versions[0].RegistrationTime; !got.Equal(&created) {
			t.Fatalf("taken up on day %d it counts as registered at %s", day, got)
		}
		key.Status.Versions, key.Status.Imports = plan.versions, plan.imports

		unlisted := key.DeepCopy()
		unlisted.Spec.ImportedKeys = nil
		plan = planImports(unlisted, v1alpha1.ImportForeign)
		if len(plan.ended) != 1 {
			t.Fatalf("day %d: %+v", day, plan)
		}
		// Every auth server has dropped it.
		key.Status.Versions, key.Status.Imports = nil, plan.imports
	}
}

func TestABlockedAPIKeyForfeitsItsImports(t *testing.T) {
	key := listing("a1 a2 a3", "a1 a2", versionOf("cc", "", v1alpha1.VersionActive), versionOf("a1", v1alpha1.OriginImported, v1alpha1.VersionActive))
	plan := forfeitImports(key)
	if got := states(plan.versions); got != "cc Active, a1 Revoked" {
		t.Errorf("versions: %s", got)
	}
	if len(plan.imports) != 0 || begins(plan.declined) != "a1 a2 a3" || begins(plan.ended) != "a1" {
		t.Errorf("%+v", plan)
	}
	key.Status.Versions, key.Status.Imports, key.Status.RefusedImports = plan.versions, plan.imports, plan.declined
	if claimed := hashesOf(key).Delete(hashed("cc"), hashed("a1")); claimed.Len() > 0 {
		t.Errorf("it still has %v", claimed)
	}
	if unblocked := planImports(key, v1alpha1.ImportAny); len(unblocked.wanted) > 0 {
		t.Errorf("when the block is lifted it takes up %v", unblocked.wanted)
	}
}

const id12 = "a10000000000"

func TestWhyAnImportIsRefused(t *testing.T) {
	holder := func(namespace, hash string) v1alpha1.APIKey {
		return v1alpha1.APIKey{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "victim"},
			Status:     v1alpha1.APIKeyStatus{Versions: []v1alpha1.KeyVersion{versionOf(hash, "", v1alpha1.VersionActive)}},
		}
	}
	for name, test := range map[string]struct {
		rivals []v1alpha1.APIKey
		own    []v1alpha1.KeyVersion
		want   string
	}{
		"another namespace's":        {rivals: []v1alpha1.APIKey{holder("other", "a1")}, want: id12 + " is or was a key of another APIKey"},
		"a neighbor's":               {rivals: []v1alpha1.APIKey{holder("team", "a1")}, want: id12 + " is or was a key of another APIKey"},
		"nobody's any more":          {want: id12 + " is or was a key of another APIKey"},
		"one that imitates a key ID": {rivals: []v1alpha1.APIKey{holder("other", "a100000000001")}, want: id12 + " has the key ID of a key of another APIKey"},
		"one that imitates its own": {
			own:  []v1alpha1.KeyVersion{versionOf("a100000000001", "", v1alpha1.VersionActive)},
			want: id12 + "0000… has the key ID of another key of this APIKey",
		},
	} {
		key := &v1alpha1.APIKey{ObjectMeta: metav1.ObjectMeta{Namespace: "team"}, Status: v1alpha1.APIKeyStatus{Versions: test.own}}
		if got := whyRefused(key, hashed("a1"), test.rivals); got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}

func TestARefusalFitsACondition(t *testing.T) {
	long := id12 + ` has the key ID of a key of APIKey "` + strings.Repeat("n", 63) + `"`
	for count := 1; count <= 8; count++ {
		refused := slices.Repeat([]string{long}, count)
		if message := refusedMessage(refused, 0); len(message) > 300 || !strings.HasPrefix(message, long) {
			t.Errorf("%d bytes for %d: %s", len(message), count, message)
		}
	}
	if message := refusedMessage(nil, 1); !strings.HasPrefix(message, "an entry is no SHA-256.") {
		t.Error(message)
	}
}

// A look that finds what the last one found changes nothing, also not a second later.
func TestWhatIsUnsettledKeepsItsTime(t *testing.T) {
	for name, unsettled := range map[string]func(*pass){
		"an import that is refused":   func(p *pass) { p.imports = stuck(v1alpha1.ReasonImportRefused, "it is another's") },
		"an import that is under way": func(p *pass) { p.imports = waiting(v1alpha1.ReasonImporting, "waiting") },
		"a spec that is enforced":     func(p *pass) { p.enforcement = waiting(v1alpha1.ReasonRevoking, "waiting") },
		"both": func(p *pass) {
			p.imports, p.enforcement = stuck(v1alpha1.ReasonImportRefused, "it is another's"), waiting(v1alpha1.ReasonRevoking, "waiting")
		},
	} {
		key := listing("a1", "", versionOf("cc", "", v1alpha1.VersionActive))
		at := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
		look := func() v1alpha1.APIKeyStatus {
			p := &pass{key: key, observed: key.DeepCopy(), now: at, permission: good(v1alpha1.ReasonPermitted, "")}
			unsettled(p)
			judge(p)
			at = at.Add(time.Minute)
			return *key.Status.DeepCopy()
		}
		first := look()
		if second := look(); !equality.Semantic.DeepEqual(first, second) {
			t.Errorf("%s: %+v, then %+v", name, first.Conditions, second.Conditions)
		}
		reconciling := meta.IsStatusConditionTrue(first.Conditions, v1alpha1.ConditionReconciling)
		stalled := meta.IsStatusConditionTrue(first.Conditions, v1alpha1.ConditionStalled)
		if !meta.IsStatusConditionTrue(first.Conditions, v1alpha1.ConditionReady) || reconciling == stalled {
			t.Errorf("%s: Ready is not True, or Reconciling %t and Stalled %t", name, reconciling, stalled)
		}
	}
}
