// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
)

func page(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/conditions.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// cells are those of the rows of a table whose first one is a reason.
func cells(page string, columns int) (rows [][]string) {
	for line := range strings.Lines(page) {
		row := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		for i := range row {
			row[i] = strings.TrimSpace(row[i])
		}
		if len(row) == columns && strings.HasPrefix(row[0], "`") {
			rows = append(rows, row)
		}
	}
	return rows
}

func TestThePageHasTheTable(t *testing.T) {
	told := map[string][]string{}
	for _, row := range cells(page(t), 6) {
		told[strings.Trim(row[0], "`")] = row
	}
	kstatus := map[progress][2]string{settled: {"", ""}, reconciling: {"yes", ""}, graced: {"for a minute", "then"}, stalled: {"", "yes"}}
	for reason, is := range standings {
		row, ok := told[reason]
		delete(told, reason)
		if ok == is.aside {
			t.Errorf("%s: it is in the table of Ready: %t, and aside: %t", reason, ok, is.aside)
		}
		if is.aside {
			continue
		}
		ready, serving := map[bool]string{true: "`True`", false: "`False`"}[is.ready], is.serving
		switch {
		case reason == v1alpha1.ReasonReady:
			serving = v1alpha1.ReasonActive
		case serving == "":
			serving = reason
		}
		want := []string{ready, "`" + serving + "`", kstatus[is.progress][0], kstatus[is.progress][1]}
		if !ok || !slices.Equal(row[1:5], want) {
			t.Errorf("%s: the page has %q, want %q", reason, row, want)
		}
		if ok && (len(row[5]) < 20 || !strings.HasSuffix(row[5], ".")) {
			t.Errorf("%s: says %q", reason, row[5])
		}
	}
	for reason := range told {
		t.Errorf("the page has %s, which no condition has", reason)
	}
	for _, row := range cells(page(t), 3) {
		reason := strings.Trim(row[0], "`")
		if standing, ok := standings[reason]; ok && !standing.aside && strings.HasSuffix(row[2], ".") {
			t.Errorf("%s is said to have no part in Ready", reason)
		}
	}
}

// Every reason that the API has is explained.
func TestThePageHasEveryReason(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "../../api/v1alpha1/conditions.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	explained := regexp.MustCompile("(?m)^\\| ([`A-Za-z0-9, ]+) \\|").FindAllStringSubmatch(page(t), -1)
	var text strings.Builder
	for _, row := range explained {
		text.WriteString(row[1])
	}
	count := 0
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || !strings.HasPrefix(spec.Names[0].Name, "Reason") || spec.Names[0].Name == "ReasonFinalizerRemoved" {
			return true
		}
		reason, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
		if err != nil || !strings.Contains(text.String(), "`"+reason+"`") {
			t.Errorf("%s is not explained", spec.Names[0].Name)
		}
		count++
		return true
	})
	if count < 40 {
		t.Errorf("found %d reasons", count)
	}
}

func TestConditionsOfAKey(t *testing.T) {
	for name, test := range map[string]struct {
		facts *Facts
		// want are the reasons of Permitted, Registered and Published, with a plus where they
		// are True.
		want string
	}{
		"a key that works":                      {given("a:Active", always(after(noon.Add(day)))), "+Permitted +Registered +Published"},
		"a hash that waits for auth servers":    {given("a:Pending", noSecret, minted("a"), loaded("a", quick)), "+Permitted WaitingForAuthServers NotPublished"},
		"a hash without auth servers":           {given("a:Pending", noSecret, minted("a"), loaded("a", none)), "+Permitted NoAuthServer NotPublished"},
		"not permitted, never minted":           {given("", unpermitted, confirmed), "NamespaceNotPermitted NotRegistered NotPublished"},
		"no longer permitted":                   {given("a:Active", unpermitted, confirmed), "NamespaceNotPermitted Revoking +Published"},
		"suspended":                             {given("a:Active", always(suspend)), "+Permitted Revoking +Published"},
		"suspended, and known to be dropped":    {given("a:Active", always(suspend), stored(func(s *status) { s.Acceptance, s.AppliedGeneration = "Withdrawn", 0 }), withdrawn(complete)), "+Permitted Revoked +Published"},
		"a Secret in the way":                   {given("", holds("z"), secret(foreign), live), "+Permitted NotRegistered SecretConflict"},
		"registered, and the Secret is refused": {given("a:Pending", noSecret, minted("a"), loaded("a", complete), refused), "+Permitted +Registered SecretRefused"},
		"a successor that waits":                {given("a:Active b:Pending", minted("b"), loaded("b", quick)), "+Permitted +Registered +Published"},
	} {
		t.Run(name, func(t *testing.T) {
			plan := Decide(test.facts)
			var got []string
			for _, kind := range []string{v1alpha1.ConditionPermitted, v1alpha1.ConditionRegistered, v1alpha1.ConditionPublished} {
				c := condition(&plan.Status, kind)
				got = append(got, map[metav1.ConditionStatus]string{metav1.ConditionTrue: "+"}[c.Status]+c.Reason)
				if c.Message == "" || c.LastTransitionTime.IsZero() || c.ObservedGeneration == 0 {
					t.Errorf("%+v", c)
				}
			}
			if strings.Join(got, " ") != test.want {
				t.Errorf("got %v, want %s", got, test.want)
			}
		})
	}
}

func TestReadySaysWhichRevokedKeysItDoesNotHave(t *testing.T) {
	for ids, want := range map[string]string{"": "", "a": "", "z a": " that no key of this APIKey has, or that are already revoked: " + idOf("z") + "."} {
		plan := Decide(given("a:Revoked(Requested) b:Active", dropped("a", quick), always(revoking(ids))))
		ready := condition(&plan.Status, v1alpha1.ConditionReady)
		if ready.Reason != v1alpha1.ReasonReady || strings.Contains(ready.Message, "revokedKeyIDs") != (want != "") || !strings.HasSuffix(ready.Message, want) {
			t.Errorf("%q: %+v", ids, ready)
		}
	}
}

func TestAMinuteOfGrace(t *testing.T) {
	f := given("", unpermitted, confirmed)
	f.Key.Status = Decide(f).Status
	for _, test := range []struct {
		after, again time.Duration
		stuck        string
	}{
		{0, time.Minute, "Reconciling NamespaceNotPermitted"},
		{time.Minute - 1, 1, "Reconciling NamespaceNotPermitted"},
		{time.Minute, 0, "Stalled NamespaceNotPermitted"},
		{time.Hour, 0, "Stalled NamespaceNotPermitted"},
	} {
		f.Now = noon.Add(test.after)
		plan := Decide(f)
		standsAs(t, &plan.Status, "NamespaceNotPermitted", "Refused", test.stuck)
		if plan.Again != test.again {
			t.Errorf("after %s it looks again after %s", test.after, plan.Again)
		}
	}
	// Another reason has no other minute.
	f.Organization = nil
	plan := Decide(f)
	standsAs(t, &plan.Status, "OrganizationNotFound", "Refused", "Stalled OrganizationNotFound")
}

func TestJudgingTwiceChangesNothing(t *testing.T) {
	for name, f := range map[string]*Facts{
		"a key that works":  given("a:Active"),
		"one that rotates":  given("a:Retiring b:Active"),
		"one that is stuck": given("a:Active", always(labelled), live, refused),
		"one that waits":    given("a:Pending", noSecret, minted("a"), loaded("a", slow)),
		"one that expires":  given("a:Active", always(expiring(noon.Add(3*day)))),
	} {
		plan := Decide(f)
		f.Key.Status = plan.Status
		if plan := Decide(f.with(later(time.Hour))); plan.Step != StepNone {
			t.Errorf("%s: a second look has %s", name, described(f, &plan))
		}
	}
}

func TestTheTimeOfAConditionIsThatOfItsChange(t *testing.T) {
	f := given("a:Active")
	f.with(always(labelled), live, refused, later(time.Hour))
	f.Key.Status = Decide(f).Status
	first := condition(&f.Key.Status, v1alpha1.ConditionStalled)
	f.Refusal = "code 500"
	f.Key.Status = Decide(f.with(later(time.Hour))).Status
	second := condition(&f.Key.Status, v1alpha1.ConditionStalled)
	if second.Message == first.Message || !second.LastTransitionTime.Equal(&first.LastTransitionTime) || !first.LastTransitionTime.Time.Equal(noon.Add(time.Hour)) {
		t.Errorf("%+v, then %+v", first, second)
	}
	if serving := condition(&f.Key.Status, v1alpha1.ConditionServing); !serving.LastTransitionTime.Time.Equal(noon) {
		t.Errorf("%+v", serving)
	}
}

// hostile is what a tenant may write into whatever takes a text. The schema keeps most of
// it out; what it cannot, and what other programs answer, is harmless where people read it.
var hostile = map[string]string{
	"a line of its own":             "fine\n2026-01-02T12:00:00Z audit key revoked",
	"a carriage return":             "fine\rREVOKED",
	"an escape sequence":            "\x1b[2J\x1b[1;31mREVOKED\x1b[0m",
	"a title for the terminal":      "\x1b]0;owned\x07",
	"a control sequence of C1":      "\u009b31mREVOKED",
	"a right-to-left override":      "agent\u202etxt.exe",
	"isolates":                      "\u2066agent\u2069",
	"what has no width":             "a\u200bg\u2060e\ufeffnt",
	"a line separator":              "two\u2028lines",
	"tags":                          "agent\U000e0041",
	"a deletion":                    "agent\x7f",
	"no UTF-8":                      "agent\xff\xfe",
	"markup, which is for the page": "<script>alert(1)</script>",
	"a format":                      "%s %d %!v",
	"more than anybody reads":       strings.Repeat("ä", 4000),
}

func TestWhatOthersWriteIsHarmlessInAMessage(t *testing.T) {
	for name, text := range hostile {
		t.Run(name, func(t *testing.T) {
			for where, f := range map[string]*Facts{
				"a refusal of the object": given("a:Active", func(f *Facts) { f.Key.Refusal = text }),
				"an Organization's name":  given("", func(f *Facts) { f.Organization = nil; f.Key.Spec.OrganizationRef.Name = text }, confirmed),
				"an organization's id":    given("a:Active", organization(func(o *v1alpha1.Organization) { o.Spec.ID = text }), confirmed),
				"a refusal of a webhook":  given("a:Active", always(labelled), live, func(f *Facts) { f.Refusal = text }),
				"names of auth servers":   given("a:Active", redescribed, applied(Ack{Slow: true, Missing: 1, Of: 3, Names: text})),
				"a template": given("", live, always(func(s *v1alpha1.APIKeySpec) {
					s.Secret.Data = map[string]v1alpha1.DataTemplate{"a": v1alpha1.DataTemplate("$(" + text + ")")}
				})),
				"a rollout": given("a:Retiring b:Active", heard(0), used("b", 0), func(f *Facts) { f.Rollout = Rollout{true, text} }),
			} {
				plan := Decide(f)
				for _, c := range plan.Status.Conditions {
					if len(c.Message) > maxMessage || !utf8.ValidString(c.Message) || strings.ContainsFunc(c.Message, func(r rune) bool { return !unicode.IsPrint(r) }) {
						t.Errorf("%s: %s says %q", where, c.Type, c.Message)
					}
				}
			}
		})
	}
}

func redescribed(f *Facts) { spec(redescribe)(f) }

func TestCut(t *testing.T) {
	for text, want := range map[string]string{"": "", "1234567890": "1234567890", "12345678901": "1234567…", "ääääää": "äää…", "1ääääää": "1äää…"} {
		if got := cut(text, 10); got != want {
			t.Errorf("%q is cut to %q, want %q", text, got, want)
		}
	}
}
