// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
)

func refused(f *Facts) { f.Refusal = "code 403" }

func labelled(s *v1alpha1.APIKeySpec) {
	s.Secret.Labels = map[string]v1alpha1.LabelValue{"team": "a"}
}

func edited(s *corev1.Secret) { s.Data["HEXCOVERY_API_KEY"] = []byte("x") }

// superseded answers the question for it.
func superseded(yes bool) option { return func(f *Facts) { f.Superseded = ptr.To(yes) } }

// repaired says how often this process has put the Secret of key a right.
func repaired(again int32, ago time.Duration) option {
	return func(f *Facts) {
		repair := Repair{fmt.Sprintf("%d acme %s", f.Key.Generation, idOf("a")), again, noon.Add(-ago)}
		f.Repairs.Main, f.Repairs.Previous = repair, repair
	}
}

func TestPublishTheFirstKey(t *testing.T) {
	// ready is a first key that all auth servers have loaded.
	ready := func(options ...option) *Facts {
		return given("a:Pending", noSecret, minted("a"), loaded("a", complete)).with(options...)
	}
	decide(t, map[string]row{
		"it is created without a look: that fails if there is one": {facts: ready(), want: "Secret a"},
		"it is Active when the Secret holds it":                    {facts: ready(holds("a")), want: "Status a:Active", ready: "Ready", serving: "Active"},
		"a leftover is read first":                                 {facts: ready(holds("z"), secret(asVelero)), want: "ask Secrets"},
		"and asked about, for another manager may have begun anew": {facts: ready(holds("z"), secret(asVelero), live), want: "ask Superseded"},
		"and overwritten, so that nothing of it stays":             {facts: ready(holds("z"), secret(asVelero), live, superseded(false)), want: "Secret a anew"},
		"by nobody who was superseded":                             {facts: ready(holds("z"), secret(asVelero), live, superseded(true)), want: "Status a:Pending", again: recheckConflict},
		"its own Secret with another key in it is rewritten":       {facts: ready(holds("z"), live, superseded(false)), want: "Secret a"},
		"one that holds it already, in another form, is rewritten by whoever finds it": {
			facts: given("a:Pending", holds("a"), always(labelled), live, loaded("a", complete), superseded(true)), want: "Secret a"},
		"a Secret of somebody else ends it": {
			facts: ready(holds("z"), secret(foreign), live), want: "Status a:Revoked(SecretConflict)", ready: "SecretConflict", serving: "SecretConflict", stuck: "Stalled SecretConflict"},
		"a form that only the key tells to be wrong is said": {
			facts: ready(func(f *Facts) { f.Template = "too large" }), want: "Status a:Pending", ready: "InvalidTemplate", serving: "InvalidTemplate", stuck: "Stalled InvalidTemplate"},
		"a Secret that is refused is said": {
			facts: ready(refused), want: "Status a:Pending", ready: "SecretRefused", serving: "SecretRefused", stuck: "Stalled SecretRefused", again: recheckConflict},
	})
}

func TestPublishASuccessor(t *testing.T) {
	ready := func(options ...option) *Facts {
		return given("a:Active b:Pending", minted("b"), loaded("b", complete), live).with(options...)
	}
	decide(t, map[string]row{
		"the previous Secret is written before the main one": {facts: ready(), want: "Secret a previous"},
		"then the main one": {facts: ready(holdsPrevious("a")), want: "Secret b"},
		"then it is Active": {
			facts: ready(holdsPrevious("a"), holds("b")), want: "Status a:Retiring b:Active", ready: "Ready", serving: "Active"},
		"a previous Secret of an earlier key is overwritten": {facts: ready(holdsPrevious("z")), want: "Secret a previous"},
		"one from a backup anew":                             {facts: ready(holdsPrevious("z"), func(f *Facts) { asVelero(f.Previous.Secret) }), want: "Secret a previous anew"},
		"one of somebody else is left alone":                 {facts: ready(holdsPrevious("z"), func(f *Facts) { foreign(f.Previous.Secret) }), want: "Secret b"},
		"one that is refused holds nothing up":               {facts: ready(func(f *Facts) { f.PreviousRefused = true }), want: "Secret b"},
		"a refusal of the main one does not concern it":      {facts: ready(refused), want: "Secret a previous"},
		"a refusal of the main one is said, and the current key works": {
			facts: ready(refused, holdsPrevious("a")), want: "Status a:Active b:Pending", ready: "SecretRefused", serving: "Active", stuck: "Stalled SecretRefused"},
		"a mark that gives it up has another take its place": {facts: ready(marked("b")), want: "ask Digest"},
		"in the same write":                                  {facts: ready(marked("b"), fresh("n")), want: "Status a:Active b:Revoked(Abandoned) n:Pending"},
		"later and later":                                    {facts: ready(marked("b"), func(f *Facts) { f.Repairs.GivenUp, f.Repairs.GaveUp = 2, noon }), want: "Status a:Active b:Pending", again: 2 * time.Second},
		"not at all any more after a while":                  {facts: ready(marked("b"), func(f *Facts) { f.Repairs.GivenUp, f.Repairs.GaveUp = 2, noon.Add(-2*time.Second) }), want: "ask Digest"},
		"the next one after a first mark waits for a second": {facts: ready(marked("b"), func(f *Facts) { f.Repairs.GivenUp, f.Repairs.GaveUp = 1, noon }), want: "Status a:Active b:Pending", again: time.Second},
		"a mark of an earlier one is none":                   {facts: ready(marked("z"), holdsPrevious("a")), want: "Secret b"},
		"a loss meanwhile ends both":                         {facts: ready(noSecret, fresh("n")), want: "Status a:Revoked(SecretDrifted) b:Revoked(SecretDrifted) n:Pending"},
	})
}

func TestRepair(t *testing.T) {
	decide(t, map[string]row{
		"a Secret of an earlier form is read first":            {facts: given("a:Active", always(labelled)), want: "ask Secrets"},
		"and rewritten with the same key":                      {facts: given("a:Active", always(labelled), live), want: "Secret a"},
		"an entry that was edited is put right":                {facts: given("a:Active", secret(edited), live), want: "Secret a"},
		"one that was put right before is a repair":            {facts: given("a:Active", secret(edited), live, repaired(0, 0)), want: "Secret a again"},
		"a repair is put off when it was made before":          {facts: given("a:Active", secret(edited), live, repaired(1, 0)), want: "nothing", again: time.Second, ready: "Ready", serving: "Active"},
		"for longer when it was made often":                    {facts: given("a:Active", secret(edited), live, repaired(3, time.Second)), want: "nothing", again: 3 * time.Second},
		"and made when the time has come":                      {facts: given("a:Active", secret(edited), live, repaired(3, 4*time.Second)), want: "Secret a again"},
		"what the spec asks for now does not wait":             {facts: given("a:Active", secret(edited), live, repaired(3, 0), spec(labelled), applied(complete), stored(func(s *status) { s.AppliedGeneration = generation + 1 })), want: "Secret a"},
		"an immutable Secret is left alone while it is right":  {facts: given("a:Active", secret(func(s *corev1.Secret) { s.Immutable = ptr.To(true) })), want: "nothing"},
		"and written when it is not":                           {facts: given("a:Active", secret(func(s *corev1.Secret) { s.Immutable = ptr.To(true) }), always(labelled), live), want: "Secret a"},
		"the key that retires is never put right with its own": {facts: given("a:Retiring b:Active", holds("a"), secret(edited), live, fresh("n")), want: "Status a:Revoked(SecretDrifted) b:Revoked(SecretDrifted) n:Pending"},
		"a Secret that is refused is said, and the key works": {
			facts: given("a:Active", always(labelled), live, refused), want: "Status a:Active", ready: "SecretRefused", serving: "Active", stuck: "Stalled SecretRefused"},
		"the previous one is put right, too":      {facts: given("a:Retiring b:Active", func(f *Facts) { f.Previous.Secret.Labels = nil }, live), want: "Secret a previous"},
		"later and later, if it is changed again": {facts: given("a:Retiring b:Active", func(f *Facts) { f.Previous.Secret.Labels = nil }, live, repaired(3, time.Second)), want: "nothing", again: 3 * time.Second},
		"when the time has come":                  {facts: given("a:Retiring b:Active", func(f *Facts) { f.Previous.Secret.Labels = nil }, live, repaired(3, 4*time.Second)), want: "Secret a previous again"},
		"for which it is read":                    {facts: given("a:Retiring b:Active", func(f *Facts) { f.Previous.Secret.Labels = nil }), want: "ask Secrets"},
		"spec.secret's labels are on it, as on the main one": {
			facts: given("a:Retiring b:Active", always(labelled), func(f *Facts) { f.Secret.Secret = secretOf(f, "b", false) }, live), want: "Secret a previous"},
	})
}

func TestThePreviousSecretGoesWithItsKey(t *testing.T) {
	for name, test := range map[string]row{
		"it is deleted when its key has ended":        {facts: given("b:Active", holdsPrevious("a"), live), want: "Secret delete previous"},
		"for which it is read":                        {facts: given("b:Active", holdsPrevious("a")), want: "ask Secrets"},
		"also if somebody has put another into it":    {facts: given("b:Active", holdsPrevious("z"), live), want: "Secret delete previous"},
		"one of somebody else is left alone":          {facts: given("b:Active", holdsPrevious("a"), func(f *Facts) { foreign(f.Previous.Secret) }, live), want: "nothing"},
		"one from a backup is left alone":             {facts: given("b:Active", holdsPrevious("a"), func(f *Facts) { asVelero(f.Previous.Secret) }, live), want: "nothing"},
		"a deletion that is refused holds nothing up": {facts: given("b:Active", holdsPrevious("a"), live, func(f *Facts) { f.PreviousRefused = true }), want: "nothing"},
		"the key that retires is not missed in it":    {facts: given("a:Retiring b:Active", func(f *Facts) { f.Previous.Secret = nil }), want: "nothing"},
		"another key in its place goes":               {facts: given("a:Retiring b:Active", holdsPrevious("z"), live), want: "Secret delete previous"},
	} {
		decide(t, map[string]row{name: test})
	}
}
