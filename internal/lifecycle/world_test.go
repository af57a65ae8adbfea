// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
)

// maxSteps is the manager's bound on the decisions of one look.
const maxSteps = 32

// dice decide what happens: first as a script says, one byte for each question, so that a
// fuzzer can steer it, and then as a seed does.
type dice struct {
	script []byte
	random *rand.Rand
}

func rolling(seed uint64) *dice { return &dice{random: rand.New(rand.NewPCG(seed, 0))} }

// roll is one of n.
func (d *dice) roll(n int) int {
	if len(d.script) > 0 {
		face := int(d.script[0]) % n
		d.script = d.script[1:]
		return face
	}
	return d.random.IntN(n)
}

// once is true once in n times.
func (d *dice) once(n int) bool { return d.roll(n) == n-1 }

// world is an API server that stores one APIKey, its Organization and its Secrets; auth
// servers, which apply what was stored, each at its own pace; and the process of a manager,
// which forgets what it has not stored when it is restarted.
type world struct {
	*dice
	t   *testing.T
	now time.Time
	log []func() string

	// history is the APIKey as it was stored, by its resourceVersion.
	history      []*v1alpha1.APIKey
	organization *v1alpha1.Organization
	namespace    Namespace
	// secrets are the main one and the previous one, and cached what the manager's cache shows.
	secrets, cached [2]*corev1.Secret
	// refusing is what the API server refuses: Secrets, the previous one, the finalizer.
	refusing [3]bool
	// rivals have hashes of spec.importedKeys.
	rivals map[string][]Rival
	gone   bool
	// servers is how far in history each auth server has come.
	servers []int

	// minted counts keys, touched what was written of Secrets, writes what was written in
	// this look, and restarts the processes.
	minted, touched, writes, restarts int
	// steps are what was decided, in words.
	steps func(string)
	// calm: nobody interferes any more.
	calm bool

	process process
}

// process is what a manager keeps in memory.
type process struct {
	uid      types.UID
	escrow   string
	waits    map[Purpose]wait
	repairs  Repairs
	released bool
	// seen is the revision of the APIKey that its cache shows at least: its own writes.
	seen int
}

type wait struct {
	revision int
	since    time.Time
}

// newWorld has an APIKey that was just applied.
func newWorld(t *testing.T, d *dice) *world {
	w := &world{dice: d, t: t, now: noon, namespace: Namespace{Permitted: true}, rivals: map[string][]Rival{}}
	w.organization = &v1alpha1.Organization{ObjectMeta: metav1.ObjectMeta{Name: "acme"}, Spec: v1alpha1.OrganizationSpec{Imports: v1alpha1.ImportAny}}
	w.store(&v1alpha1.APIKey{
		ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "agent", UID: "uid-0", Generation: 1, CreationTimestamp: metav1.NewTime(noon)},
		Spec:       v1alpha1.APIKeySpec{OrganizationRef: v1alpha1.OrganizationReference{Name: "acme"}},
	})
	for range w.roll(4) {
		w.servers = append(w.servers, 0)
	}
	w.restart()
	return w
}

func (w *world) note(format string, values ...any) {
	now := w.now
	w.log = append(w.log, func() string { return now.Format("02 15:04:05.000 ") + fmt.Sprintf(format, values...) })
}

// failf says what is wrong, and what came before it.
func (w *world) failf(format string, values ...any) {
	w.t.Helper()
	text := fmt.Sprintf(format, values...)
	for _, line := range w.log[max(0, len(w.log)-80):] {
		text += "\n\t" + line()
	}
	w.t.Fatal(text)
}

// key is the APIKey as it is stored.
func (w *world) key() *v1alpha1.APIKey { return w.history[len(w.history)-1] }

func (w *world) store(key *v1alpha1.APIKey) {
	key.ResourceVersion = fmt.Sprint(len(w.history))
	w.history = append(w.history, key.DeepCopy())
}

// restart is that of the manager.
func (w *world) restart() {
	w.process = process{uid: w.key().UID, waits: map[Purpose]wait{}, seen: len(w.history) - 1}
	w.restarts++
	w.note("the manager starts")
}

// see is the revision of the APIKey that the cache shows.
func (w *world) see() *v1alpha1.APIKey {
	newest := len(w.history) - 1
	if !w.calm {
		newest -= w.roll(min(3, newest-w.process.seen+1))
	}
	return w.history[newest].DeepCopy()
}

// observe is what the manager's observe does.
func (w *world) observe() *Facts {
	p, key := &w.process, w.see()
	if p.uid != key.UID {
		*p = process{uid: key.UID, waits: p.waits, seen: p.seen}
	}
	f := &Facts{
		Now: w.now, Key: key, Repairs: p.repairs, Released: p.released,
		Held: sets.New[string](), Acks: map[Purpose]Ack{}, Claims: map[string]bool{}, Rivals: map[string][]Rival{}, Uses: map[string]Use{},
	}
	if !key.DeletionTimestamp.IsZero() {
		return f
	}
	w.observePermission(f)
	maps.Copy(f.Rivals, w.rivals)
	if v := pending(&key.Status); v != nil && v.ID == p.escrow {
		f.Minted = v.ID
		f.Held.Insert(v.ID)
	}
	f.Coverage.Until = w.now
	for i := range key.Status.Versions {
		if id := key.Status.Versions[i].ID; !w.once(3) {
			f.Uses[id] = Use{LastUsed: w.now.Add(-time.Duration(w.roll(60)) * time.Minute)}
		}
	}
	f.Rollout.Unfinished = !w.calm && w.once(8)
	for i := range w.secrets {
		if w.calm || !w.once(4) {
			w.cached[i] = w.secrets[i].DeepCopy()
			if w.cached[i] != nil && w.cached[i].Labels[v1alpha1.LabelAPIKey] == "" {
				w.cached[i] = nil
			}
		}
	}
	f.Secret.Secret, f.Previous.Secret = w.cached[0].DeepCopy(), w.cached[1].DeepCopy()
	return f
}

func (w *world) observePermission(f *Facts) {
	f.Organization, f.Namespace = w.organization.DeepCopy(), w.namespace
}

// answer is what the manager's answer does.
func (w *world) answer(f *Facts, q *Questions) {
	if q.Permission {
		f.Confirmed = true
		w.observePermission(f)
	}
	if q.Spec {
		f.Key.Trimmed = false
	}
	if q.Secrets {
		w.readSecrets(f)
	}
	if q.Superseded {
		v := pending(&w.key().Status)
		f.Superseded = ptr.To(v == nil || v.ID != f.Minted)
	}
	if q.Digest {
		w.minted++
		digest := digestOf(fmt.Sprintf("key-%d", w.minted))
		f.Fresh, w.process.escrow = &digest, digest.KeyID()
		f.Held.Insert(digest.KeyID())
		w.note("key %d is %s", w.minted, digest.KeyID())
	}
	for _, digest := range q.Claims {
		f.Claims[digest.String()] = len(w.rivals[digest.String()]) == 0 && (w.calm || !w.once(6))
	}
	for _, purpose := range q.Acks {
		f.Acks[purpose] = w.ask(f, purpose)
	}
}

func (w *world) readSecrets(f *Facts) {
	for i, place := range []*Place{&f.Secret, &f.Previous} {
		*place = Place{Live: true, Secret: w.secrets[i].DeepCopy()}
		if place.Secret == nil || !metav1.IsControlledBy(place.Secret, f.Key) || !f.Key.StatusIsOwn() {
			continue
		}
		if v := HeldVersion(place.Secret, &f.Key.Status); v != nil {
			f.Held.Insert(v.ID)
		}
	}
}

// ask is what is known of a wait: it is for the revision that the APIKey had when it was
// first asked for.
func (w *world) ask(f *Facts, purpose Purpose) Ack {
	waiting, ok := w.process.waits[purpose]
	if !ok {
		waiting = wait{w.revisionOf(f), f.Now}
		w.process.waits[purpose] = waiting
	}
	ack := Ack{Complete: true, Slow: f.Now.Sub(waiting.since) >= time.Second, Missing: 1, Of: 3, Names: "east", Again: time.Second}
	if purpose.Kind == Register && len(w.servers) == 0 {
		return Ack{None: true, Slow: ack.Slow, Again: time.Second}
	}
	for _, applied := range w.servers {
		ack.Complete = ack.Complete && applied >= waiting.revision
	}
	w.note("  %s %q at %d: %t", purpose.Kind, purpose.Of, waiting.revision, ack.Complete)
	return ack
}

func (w *world) revisionOf(f *Facts) int {
	return slices.IndexFunc(w.history, func(key *v1alpha1.APIKey) bool { return key.ResourceVersion == f.Key.ResourceVersion })
}

// take is what the manager's act does. It reports false for a conflict.
func (w *world) take(f *Facts, plan *Plan) bool {
	w.writes++
	switch plan.Step {
	case StepSecret:
		return w.writeSecret(f, &plan.Secret)
	case StepRemove:
		if w.refusing[0] {
			f.Refusal = "code 403"
			return true
		}
		for i := range w.secrets {
			if s := w.secrets[i]; s != nil && metav1.IsControlledBy(s, f.Key) {
				w.secrets[i] = nil
			}
		}
		f.Removed = true
		return true
	case StepNone, StepFinalizer, StepStatus, StepRelease:
	}
	if f.Key.ResourceVersion != w.key().ResourceVersion {
		w.note("  conflict")
		if plan.Step == StepStatus && f.Fresh != nil {
			w.process.escrow = ""
		}
		return false
	}
	key := f.Key.DeepCopy()
	switch plan.Step {
	case StepStatus:
		key.Status = plan.Status
	case StepFinalizer, StepRelease:
		if w.refusing[2] {
			f.Unwritable = "code 403"
			return true
		}
		if plan.Step == StepFinalizer {
			controllerutil.AddFinalizer(key, v1alpha1.Finalizer)
			break
		}
		controllerutil.RemoveFinalizer(key, v1alpha1.Finalizer)
		f.Released, w.gone = true, true
	case StepNone, StepSecret, StepRemove:
	}
	w.store(key)
	w.process.seen = len(w.history) - 1
	w.wrote(f, plan)
	f.Key = key
	return true
}

// wrote is what the manager remembers of a write of the status.
func (w *world) wrote(f *Facts, plan *Plan) {
	if plan.Step != StepStatus {
		return
	}
	if s := f.Secret.Secret; s != nil && f.Minted != "" && s.Annotations[v1alpha1.AnnotationAbandonedKeyID] == f.Minted {
		if v := versionOf(&plan.Status, f.Minted); v != nil && v.RevocationReason == v1alpha1.RevokedAbandoned {
			r := &w.process.repairs
			r.GivenUp, r.GaveUp = Another(r.GivenUp, r.GaveUp, f.Now), f.Now
			f.Repairs = *r
		}
	}
	if f.Fresh != nil {
		f.Minted, f.Fresh, f.Senior = f.Fresh.KeyID(), nil, false
	}
	if v := pending(&plan.Status); f.Minted != "" && (v == nil || v.ID != f.Minted) {
		w.process.escrow, f.Minted = "", ""
	}
}

// writeSecret makes one write of a Secret, on condition that it is what was seen.
func (w *world) writeSecret(f *Facts, s *SecretWrite) bool {
	i, place := 0, &f.Secret
	if s.Previous {
		i, place = 1, &f.Previous
	}
	switch {
	case w.refusing[i]:
		f.PreviousRefused = f.PreviousRefused || s.Previous
		if !s.Previous {
			f.Refusal = "code 403"
		}
		return true
	case place.Secret == nil && w.secrets[i] != nil:
		w.note("  it is there already")
		w.readSecrets(f)
		return true
	case place.Secret != nil && (w.secrets[i] == nil || w.secrets[i].ResourceVersion != place.Secret.ResourceVersion):
		w.note("  conflict")
		return false
	case s.KeyID == "":
		w.secrets[i] = nil
	default:
		if !f.Held.Has(s.KeyID) {
			w.failf("key %s is to be written, and is not at hand", s.KeyID)
		}
		w.secrets[i] = w.written(f, place.Secret, s)
	}
	*place = Place{Live: true, Secret: w.secrets[i].DeepCopy()}
	if r := &w.process.repairs; s.Form != "" {
		r.Of(s.Previous).Written(s.Form, f.Now)
		f.Repairs = *r
	}
	return true
}

// written is a Secret as it is after a write.
func (w *world) written(f *Facts, seen *corev1.Secret, s *SecretWrite) *corev1.Secret {
	written := secretOf(f, w.plaintext(s.KeyID), s.Previous)
	if seen != nil && !s.Anew && !ptr.Deref(seen.Immutable, false) {
		if mark := seen.Annotations[v1alpha1.AnnotationAbandonedKeyID]; mark != "" {
			written.Annotations[v1alpha1.AnnotationAbandonedKeyID] = mark
		}
	}
	if s.Mark != "" {
		written.Annotations[v1alpha1.AnnotationAbandonedKeyID] = s.Mark
	}
	return w.touch(written)
}

// touch gives a Secret another resourceVersion.
func (w *world) touch(s *corev1.Secret) *corev1.Secret {
	w.touched++
	s.ResourceVersion = fmt.Sprint(w.touched)
	return s
}

// plaintext is what has the key ID.
func (w *world) plaintext(id string) string {
	for n := range w.minted + 1 {
		if name := fmt.Sprintf("key-%d", n); idOf(name) == id {
			return name
		}
	}
	w.failf("nobody knows key %s", id)
	return ""
}

// look is one look of the manager. It returns the Plan that ended it, or nil where it met a
// newer object or its process ended.
func (w *world) look(interfere func()) *Plan {
	w.writes = 0
	f := w.observe()
	for range maxSteps {
		plan := Decide(f)
		generation := f.Key.Generation
		w.log = append(w.log, func() string { return sketch(generation, &plan) })
		w.check(f, &plan)
		if w.steps != nil {
			w.steps(described(f, &plan))
		}
		if !plan.Asks() && plan.Step == StepNone {
			w.process.waits = keep(w.process.waits, plan.Waits)
			return &plan
		}
		restarts := w.restarts
		if interfere(); w.restarts != restarts {
			return nil
		}
		if plan.Asks() {
			w.answer(f, &plan.Ask)
		} else if !w.take(f, &plan) {
			return nil
		}
		if w.gone {
			return nil
		}
	}
	w.failf("no end of decisions")
	return nil
}

func keep(waits map[Purpose]wait, purposes []Purpose) map[Purpose]wait {
	kept := map[Purpose]wait{}
	for _, purpose := range purposes {
		if waiting, ok := waits[purpose]; ok {
			kept[purpose] = waiting
		}
	}
	return kept
}

// sketch is a Plan for the log.
func sketch(generation int64, plan *Plan) string {
	var versions []string
	for i := range plan.Status.Versions {
		v := &plan.Status.Versions[i]
		versions = append(versions, fmt.Sprintf("%s:%s%s", v.ID[:4], v.State, v.RevocationReason))
	}
	what := fmt.Sprintf("%s %s applied %d of %d, Ready %s", strings.Join(versions, " "), plan.Status.Acceptance, plan.Status.AppliedGeneration, generation,
		condition(&plan.Status, v1alpha1.ConditionReady).Reason)
	switch {
	case plan.Asks():
		return fmt.Sprintf("ask %+v", plan.Ask)
	case plan.Step == StepSecret:
		return fmt.Sprintf("Secret %+v", plan.Secret)
	case plan.Step == StepNone:
		return fmt.Sprintf("nothing, again after %s: %s", plan.Again, what)
	}
	return fmt.Sprintf("%s %s", plan.Step, what)
}
