// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
)

// imported has hashes be taken up, and refused, already.
func imported(taken, refused string) option {
	return stored(func(s *status) {
		s.Imports, s.RefusedImports = sorted(hashes(taken)), sorted(hashes(refused))
	})
}

func sorted(list []string) []string { slices.Sort(list); return list }

func forbidImports(o *v1alpha1.Organization) { o.Spec.Imports = v1alpha1.ImportForbidden }

// reserved answers the question for a hash.
func reserved(list string, ok bool) option {
	return func(f *Facts) {
		for _, hash := range hashes(list) {
			f.Claims[hash] = ok
		}
	}
}

func rival(name string, r Rival) option {
	return func(f *Facts) { f.Rivals[hashOf(name)] = append(f.Rivals[hashOf(name)], r) }
}

// letters are the names of hashes.
func letters(list []string) string {
	var letters []string
	for _, hash := range list {
		letters = append(letters, names[hash])
	}
	slices.Sort(letters)
	return strings.Join(letters, " ")
}

// retiring are so many minted versions, which retire.
func retiring(count int) string {
	var words []string
	for letter := range count {
		words = append(words, fmt.Sprintf("%c:Retiring", 'b'+letter))
	}
	return strings.Join(words, " ")
}

func TestImports(t *testing.T) {
	for name, test := range map[string]struct {
		facts *Facts
		// want is the Plan. versions are those of its status, whether it is written or not.
		want, versions string
		// imports and refused are names, ready the reason of Imported.
		imports, refused, imported string
	}{
		"nothing is listed":                            {given("a:Active"), "nothing", "a:Active", "", "", ""},
		"one is listed: it is reserved first":          {given("a:Active", spec(listing("x"))), "ask claim x; revoke generation 4", "a:Active", "", "", "Imported"},
		"nobody else has it: it is registered":         {given("a:Active", always(listing("x")), reserved("x", true)), "Status a:Active +x:Pending", "a:Active +x:Pending", "x", "", "Importing"},
		"somebody else has it: it is refused":          {given("a:Active", always(listing("x")), reserved("x", false)), "Status a:Active", "a:Active", "", "x", "ImportRefused"},
		"a cache shows who has it: not even reserved":  {given("a:Active", always(listing("x")), rival("x", Rival{Same: true})), "Status a:Active", "a:Active", "", "x", "ImportRefused"},
		"one that imitates a key ID of another APIKey": {given("a:Active", always(listing("x")), rival("x", Rival{})), "Status a:Active", "a:Active", "", "x", "ImportRefused"},
		"two are listed, and one has been taken up": {
			given("a:Active +x:Active", always(listing("x y")), reserved("y", true)), "Status a:Active +x:Active +y:Pending", "a:Active +x:Active +y:Pending", "x y", "", "Importing"},
		"it is accepted when each auth server has loaded it": {
			given("a:Active +x:Pending", acked(Register, complete, "imported %s, generation 3", idOf("x"))), "Status a:Active +x:Active", "a:Active +x:Active", "x", "", "Imported"},
		"and not before": {
			given("a:Active +x:Pending", acked(Register, quick, "imported %s, generation 3", idOf("x"))), "Status a:Active +x:Pending", "a:Active +x:Pending", "x", "", "Importing"},
		"which they are asked": {given("a:Active +x:Pending"), "ask register imported x, generation 3", "a:Active +x:Pending", "x", "", "Importing"},
		"for two at once":      {given("a:Active +x:Pending +y:Pending"), "ask register imported x y, generation 3", "a:Active +x:Pending +y:Pending", "x y", "", "Importing"},

		// What is taken out of the list.
		"taken out of the list it is refused before anybody is asked": {
			given("a:Active +x:Active", spec(listing(""))), "Status a:Active +x:Revoked(Unlisted) unapplied", "a:Active +x:Revoked(Unlisted)", "", "", ""},
		"also while it retires": {
			given("a:Active +x:Retiring +y:Retiring", always(listing("y"))), "Status a:Active +x:Revoked(Unlisted) +y:Retiring", "a:Active +x:Revoked(Unlisted) +y:Retiring", "y", "", "Imported"},
		"also before it works": {given("a:Active +x:Pending", always(listing(""))), "Status a:Active +x:Revoked(Unlisted)", "a:Active +x:Revoked(Unlisted)", "", "", ""},
		"one that was revoked already stays so": {
			given("a:Active +x:Revoked(Unused)", dropped("x", quick)), "Status a:Active +x:Revoked(Unused)", "a:Active +x:Revoked(Unused)", "", "", ""},
		"replaced by another": {
			given("a:Active +x:Active", always(listing("y")), reserved("y", true)), "Status a:Active +x:Revoked(Unlisted) +y:Pending", "a:Active +x:Revoked(Unlisted) +y:Pending", "y", "", "Importing"},

		// What has ended does not come back by itself.
		"being revoked by a rotation it stays taken up": {
			given("a:Active +x:Revoked(Unused)", always(listing("x")), imported("x", ""), dropped("x", quick)), "Status a:Active +x:Revoked(Unused)", "a:Active +x:Revoked(Unused)", "x", "", "Imported"},
		"it has retired: it does not come back":            {given("a:Active", always(listing("x")), imported("x", "")), "Status a:Active", "a:Active", "x", "", "Imported"},
		"it has retired and is taken out: it is forgotten": {given("a:Active", imported("x", "")), "Status a:Active", "a:Active", "", "", ""},
		"put back before it is known to be dropped it waits": {
			given("a:Active +x:Revoked(Unlisted)", always(listing("x")), dropped("x", quick)), "Status a:Active +x:Revoked(Unlisted)", "a:Active +x:Revoked(Unlisted)", "", "", "Importing"},
		"also when another is loaded": {
			given("a:Active +x:Pending +y:Revoked(Unlisted)", always(listing("x y")), dropped("y", quick),
				acked(Register, complete, "imported %s, generation 3", idOf("x"))),
			"Status a:Active +x:Active +y:Revoked(Unlisted)", "a:Active +x:Active +y:Revoked(Unlisted)", "x", "", "Importing"},
		"put back later it is considered anew": {given("a:Active", always(listing("x"))), "ask claim x", "a:Active", "", "", "Imported"},

		// The APIKey's own keys.
		"the APIKey's own key":                     {given("a:Active", always(listing("a"))), "Status a:Active", "a:Active", "a", "", "Imported"},
		"its own key that was replaced":            {given("a:Retiring b:Active", always(listing("a"))), "Status a:Retiring b:Active", "a:Retiring b:Active", "a", "", "Imported"},
		"its own key that has ended since":         {given("b:Active", always(listing("a")), imported("a", "")), "Status b:Active", "b:Active", "a", "", "Imported"},
		"its own key's ID, imitated":               {given("a:Active", always(listing("a'"))), "Status a:Active", "a:Active", "", "a'", "ImportRefused"},
		"of two with one key ID the first":         {given("a:Active", always(listing("x x'")), reserved("x", true)), "Status a:Active +x:Pending", "a:Active +x:Pending", "x", "x'", "ImportRefused"},
		"a version that the status forgot to list": {given("a:Active +x:Active", imported("", "")), "Status a:Active +x:Active", "a:Active +x:Active", "x", "", "Imported"},

		// Refused before.
		"what was refused is not taken up by itself": {given("a:Active", always(listing("x")), imported("", "x")), "Status a:Active", "a:Active", "", "x", "ImportRefused"},
		"another beside it is": {
			given("a:Active", always(listing("x y")), imported("", "x"), reserved("y", true)), "Status a:Active +y:Pending", "a:Active +y:Pending", "y", "x", "ImportRefused"},
		"taken out of the list it is forgotten":        {given("a:Active", imported("", "x")), "Status a:Active", "a:Active", "", "", ""},
		"refused for a key ID that is free since then": {given("b:Active", always(listing("a'")), imported("", "a'")), "Status b:Active", "b:Active", "", "a'", "ImportRefused"},

		// Two that have one hash.
		"an older APIKey has it, too: this one gives way": {
			given("a:Active +x:Active", rival("x", Rival{Same: true, Senior: true})), "Status a:Active +x:Revoked(DuplicateDigest)", "a:Active +x:Revoked(DuplicateDigest)", "", "x", "ImportRefused"},
		"a younger one has it: this one keeps it":  {given("a:Active +x:Active", rival("x", Rival{Same: true})), "nothing", "a:Active +x:Active", "x", "", "Imported"},
		"an older one has its key ID: it keeps it": {given("a:Active +x:Active", rival("x", Rival{Senior: true})), "nothing", "a:Active +x:Active", "x", "", "Imported"},
		"an older one has a minted key's hash: that is no import": {
			given("a:Active", always(listing("a")), imported("a", ""), rival("a", Rival{Same: true, Senior: true})), "Status a:Active", "a:Active", "a", "", "Imported"},

		// Room.
		"there is no room": {
			given(retiring(maxImporting-1)+" a:Active", always(listing("x"))), "Status " + retiring(maxImporting-1) + " a:Active", retiring(maxImporting-1) + " a:Active", "", "", "Importing"},
		"there is room for one": {
			given(retiring(maxImporting-2)+" a:Active", always(listing("x y")), reserved("x", true)),
			"Status " + retiring(maxImporting-2) + " a:Active +x:Pending", retiring(maxImporting-2) + " a:Active +x:Pending", "x", "", "Importing"},

		// Forbidden.
		"imports are forbidden":              {given("a:Active", always(listing("x")), organization(forbidImports)), "Status a:Active", "a:Active", "", "", "ImportForbidden"},
		"a policy that nobody knows forbids": {given("a:Active", always(listing("x")), organization(func(o *v1alpha1.Organization) { o.Spec.Imports = "Some" })), "Status a:Active", "a:Active", "", "", "ImportForbidden"},
		"foreign ones are permitted":         {given("a:Active", always(listing("x")), organization(func(o *v1alpha1.Organization) { o.Spec.Imports = v1alpha1.ImportForeign })), "ask claim x", "a:Active", "", "", "Imported"},
		"forbidden when they work: refused before anybody is asked": {
			given("a:Active +x:Active +y:Retiring", organization(forbidImports)), "Status a:Active +x:Revoked(ImportForbidden) +y:Revoked(ImportForbidden)",
			"a:Active +x:Revoked(ImportForbidden) +y:Revoked(ImportForbidden)", "", "", "ImportForbidden"},
		"forbidden when one has retired: it is remembered": {
			given("a:Active", always(listing("x")), imported("x", ""), organization(forbidImports)), "Status a:Active", "a:Active", "x", "", "ImportForbidden"},
		"forbidden when one was refused: so is that": {
			given("a:Active", always(listing("x")), imported("", "x y"), organization(forbidImports)), "Status a:Active", "a:Active", "", "x", "ImportForbidden"},
		"forbidden, and the APIKey's own key is listed": {
			given("a:Active", always(listing("a")), imported("a", ""), organization(forbidImports)), "Status a:Active", "a:Active", "a", "", "ImportForbidden"},

		// Others.
		"no hash at all": {
			given("a:Active", always(func(s *v1alpha1.APIKeySpec) { s.ImportedKeys = []v1alpha1.ImportedKey{{SHA256: "x"}} })), "Status a:Active", "a:Active", "", "", "ImportRefused"},
		"nothing is reserved while the finalizer is refused": {
			given("a:Active", always(listing("x")), func(f *Facts) { f.Unwritable = "code 403" }), "Status a:Active", "a:Active", "", "", "WriteRefused"},
		"a status of another UID has nothing": {
			given("+x:Active", stored(func(s *status) { s.UID = "earlier" }), live), "ask Digest; claim x", "", "", "", "Imported"},
	} {
		t.Run(name, func(t *testing.T) {
			plan := Decide(test.facts)
			if got := described(test.facts, &plan); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
			for what, pair := range map[string][2]string{
				"versions": {states(plan.Status.Versions), test.versions}, "imports": {letters(plan.Status.Imports), test.imports},
				"refused": {letters(plan.Status.RefusedImports), test.refused}, "Imported": {condition(&plan.Status, v1alpha1.ConditionImported).Reason, test.imported},
			} {
				if pair[0] != pair[1] {
					t.Errorf("%s: %q, want %q", what, pair[0], pair[1])
				}
			}
			if !slices.IsSorted(plan.Status.Imports) || !slices.IsSorted(plan.Status.RefusedImports) {
				t.Error("a list is not sorted, and would be written again")
			}
		})
	}
}

func TestWhatIsTakenUpIsAVersionLikeAnyOther(t *testing.T) {
	f := given("a:Active", always(listing("x")), reserved("x", true))
	plan := Decide(f)
	v := versionOf(&plan.Status, idOf("x"))
	if v == nil || v.SHA256 != hashOf("x") || !v.Imported() || !v.RegistrationTime.Equal(&f.Key.CreationTimestamp) || v.ActivationTime != nil || v.MintReason != "" {
		t.Fatalf("registered as %+v", v)
	}
	f.Key.Status = plan.Status
	plan = Decide(f.with(acked(Register, complete, "imported %s, generation 3", idOf("x"))))
	if v := versionOf(&plan.Status, idOf("x")); v.State != v1alpha1.VersionActive || !v.ActivationTime.Time.Equal(noon) {
		t.Fatalf("activated as %+v", v)
	}
	f.Key.Status = plan.Status
	if plan := Decide(f); described(f, &plan) != "nothing" {
		t.Errorf("the next look finds something to do: %s", described(f, &plan))
	}
}

// Taking an entry out of the list and putting it back makes a key no younger.
func TestAnImportedKeyNeverGetsYounger(t *testing.T) {
	f := given("a:Active")
	for range 100 {
		f.with(always(listing("x")), reserved("x", true), later(day))
		plan := Decide(f)
		if v := versionOf(&plan.Status, idOf("x")); v == nil || !v.RegistrationTime.Equal(&f.Key.CreationTimestamp) {
			t.Fatalf("on %s it is registered as %+v", f.Now, v)
		}
		f.Key.Status = plan.Status
		f.with(always(listing("")))
		plan = Decide(f)
		if v := versionOf(&plan.Status, idOf("x")); v.RevocationReason != v1alpha1.RevokedUnlisted {
			t.Fatalf("taken out of the list it is %+v", v)
		}
		f.Key.Status = plan.Status
		plan = Decide(f.with(dropped("x", complete)))
		if f.Key.Status = plan.Status; states(f.Key.Status.Versions) != "a:Active" {
			t.Fatalf("dropped by all it is %s", states(f.Key.Status.Versions))
		}
	}
}

func TestABlockedAPIKeyForfeitsItsImports(t *testing.T) {
	f := given("a:Active +x:Active", always(listing("x y z")), imported("x y", ""), organization(block), confirmed)
	plan := Decide(f)
	if got := described(f, &plan); got != "Status a:Active +x:Revoked(Blocked) Withdrawn unapplied" {
		t.Error(got)
	}
	if len(plan.Status.Imports) != 0 || letters(plan.Status.RefusedImports) != "x y z" {
		t.Errorf("it still has %s, and is refused %s", letters(plan.Status.Imports), letters(plan.Status.RefusedImports))
	}
	f.Key.Status = plan.Status
	f.Organization.Spec.Blocked = nil
	// Lifted, they have to be listed anew.
	plan = Decide(f.with(dropped("x", complete), loadedAgain(complete)))
	if got := described(f, &plan); got != "Status a:Active unapplied" || letters(plan.Status.RefusedImports) != "x y z" {
		t.Errorf("when the block is lifted: %s, refused %s", got, letters(plan.Status.RefusedImports))
	}
}

func TestWhyAnImportIsRefused(t *testing.T) {
	const belongs = " is or was a key of another APIKey."
	for name, test := range map[string]struct {
		facts *Facts
		want  string
	}{
		"another's":             {given("a:Active", rival("x", Rival{Namespace: "secret", Name: "secret", Same: true})), idOf("x") + belongs},
		"nobody's any more":     {given("a:Active"), idOf("x") + belongs},
		"a key ID of another's": {given("a:Active", rival("x", Rival{Namespace: "secret", Name: "secret"})), idOf("x") + " has the key ID of a key of another APIKey."},
		"a key ID of its own":   {given("x':Active"), hashOf("x")[:16] + "… has the key ID of another key of this APIKey."},
	} {
		plan := Decide(test.facts.with(always(listing("x")), imported("", "x")))
		message := condition(&plan.Status, v1alpha1.ConditionImported).Message
		if !strings.HasPrefix(message, test.want+" A key belongs to one APIKey.") || strings.Contains(message, "secret") {
			t.Errorf("%s: %q", name, message)
		}
	}
}

func TestARefusalFitsACondition(t *testing.T) {
	listed := "b c d e f g h i"
	for count := 1; count <= 8; count++ {
		some := strings.Join(strings.Fields(listed)[:count], " ")
		f := given("a:Active", always(listing(some)), imported("", some))
		for _, hash := range hashes(some) {
			f.Rivals[hash] = []Rival{{}}
		}
		f.Key.Spec.ImportedKeys = append(f.Key.Spec.ImportedKeys, v1alpha1.ImportedKey{SHA256: "x"})
		plan := Decide(f)
		message := condition(&plan.Status, v1alpha1.ConditionImported).Message
		if len(message) > maxMessage || !strings.HasSuffix(message, "put back, it is considered anew.") {
			t.Errorf("%d bytes for %d: %s", len(message), count, message)
		}
		if strings.Contains(message, "no SHA-256") == strings.Contains(message, " more.") {
			t.Errorf("%d are neither all named nor counted: %s", count+1, message)
		}
	}
}

func TestImportsOfAnOldAPIKey(t *testing.T) {
	aged := func(age time.Duration) option {
		return organization(func(o *v1alpha1.Organization) { o.Spec.MaxKeyAge = &metav1.Duration{Duration: age} })
	}
	// The minted key is young, and the APIKey a day old.
	young := stored(func(s *status) { s.Versions[0].RegistrationTime = at(time.Minute) })
	for name, test := range map[string]struct {
		facts *Facts
		want  string
	}{
		"as old as maxKeyAge": {given("a:Active +x:Active", aged(day), young), v1alpha1.ReasonImportExpired},
		"a moment younger":    {given("a:Active +x:Active", aged(day+1), young), v1alpha1.ReasonImported},
	} {
		plan := Decide(test.facts)
		if got := condition(&plan.Status, v1alpha1.ConditionImported).Reason; got != test.want {
			t.Errorf("%s: %s", name, got)
		}
		if test.want == v1alpha1.ReasonImported && plan.Again != 1 {
			t.Errorf("%s: looks again after %s", name, plan.Again)
		}
	}
}

// A look that finds what the last one found changes nothing, also not a minute later.
func TestWhatIsUnsettledKeepsItsTime(t *testing.T) {
	for name, f := range map[string]*Facts{
		"an import that is refused":    given("a:Active", always(listing("x")), imported("", "x")),
		"an import that is forbidden":  given("a:Active", always(listing("x")), organization(forbidImports)),
		"an import that is waited for": given("a:Active +x:Pending", acked(Register, slow, "imported %s, generation 3", idOf("x"))),
		"a spec that is applied":       given("a:Active", spec(scoped("ingest")), applied(slow)),
		"both":                         given("a:Active", spec(listing("x")), imported("", "x"), applied(slow)),
	} {
		first := Decide(f)
		if first.Step != StepStatus {
			t.Errorf("%s: %s", name, described(f, &first))
		}
		f.Key.Status = first.Status
		second := Decide(f.with(later(time.Minute)))
		if !equality.Semantic.DeepEqual(first.Status, second.Status) || second.Step != StepNone {
			t.Errorf("%s: %+v, then %+v", name, first.Status.Conditions, second.Status.Conditions)
		}
		if condition(&first.Status, v1alpha1.ConditionServing).Reason != v1alpha1.ReasonActive {
			t.Errorf("%s: the key itself is said not to work", name)
		}
	}
}
