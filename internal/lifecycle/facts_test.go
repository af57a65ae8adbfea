// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/utils/ptr"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/internal/keys"
)

// Facts are built from words, and Plans are read as words:
//
//	a:Retiring b:Active +x:Pending c:Revoked(Requested)
//
// are an APIKey's versions, of keys that are named by a letter; one that was imported has a
// plus. a' is another hash with the key ID of a.

const (
	day        = 24 * time.Hour
	generation = 3
)

// noon is the time of all rows.
var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// names are the keys of all tests, by their hash and by their ID.
var names = func() map[string]string {
	names := map[string]string{}
	for letter := 'a'; letter <= 'z'; letter++ {
		for _, name := range []string{string(letter) + "'", string(letter)} {
			names[hashOf(name)] = name
			names[idOf(name)] = name
		}
	}
	// Those that worlds mint.
	for n := range 10 {
		name := fmt.Sprintf("key-%d", n)
		names[hashOf(name)] = name
		names[idOf(name)] = name
	}
	return names
}()

func digestOf(name string) keys.Digest {
	letter, imitates := strings.CutSuffix(name, "'")
	digest := keys.Digest(sha256.Sum256([]byte(letter)))
	if imitates {
		digest[31] ^= 1
	}
	return digest
}

func hashOf(name string) string { return digestOf(name).String() }
func idOf(name string) string   { return digestOf(name).KeyID() }

func ids(list string) (ids []string) {
	for name := range strings.FieldsSeq(list) {
		ids = append(ids, idOf(name))
	}
	return ids
}

func hashes(list string) (hashes []string) {
	for name := range strings.FieldsSeq(list) {
		hashes = append(hashes, hashOf(name))
	}
	return hashes
}

// named returns text with names in place of hashes and IDs.
func named(text string) string {
	for _, length := range []int{len(hashOf("a")), len(idOf("a"))} {
		for known, name := range names {
			if len(known) == length {
				text = strings.ReplaceAll(text, known, name)
			}
		}
	}
	return text
}

func at(ago time.Duration) metav1.Time { return metav1.NewTime(noon.Add(-ago)) }

// versionsOf reads versions. Each was registered two hours before noon and activated
// half an hour later; one that was replaced was so an hour before, in their order.
func versionsOf(text string) (versions []version) {
	for word := range strings.FieldsSeq(text) {
		name, state, _ := strings.Cut(word, ":")
		name, imported := strings.CutPrefix(name, "+")
		state, reason, _ := strings.Cut(strings.TrimSuffix(state, ")"), "(")
		v := version{
			ID: idOf(name), SHA256: hashOf(name), State: v1alpha1.VersionState(state), RevocationReason: v1alpha1.RevocationReason(reason),
			RegistrationTime: at(2 * time.Hour), MintReason: v1alpha1.MintInterval,
		}
		if imported {
			v.Origin, v.MintReason = v1alpha1.OriginImported, ""
		}
		if v.State != v1alpha1.VersionPending {
			v.ActivationTime = ptr.To(at(90 * time.Minute))
		}
		if v.State == v1alpha1.VersionRetiring {
			v.ReplacementTime = ptr.To(at(time.Hour - time.Duration(len(versions))*time.Second))
		}
		versions = append(versions, v)
	}
	return versions
}

// states writes what versionsOf reads.
func states(versions []version) string {
	var words []string
	for i := range versions {
		v := &versions[i]
		word := names[v.SHA256] + ":" + string(v.State)
		if v.Imported() {
			word = "+" + word
		}
		if v.RevocationReason != "" {
			word += "(" + string(v.RevocationReason) + ")"
		}
		words = append(words, word)
	}
	return strings.Join(words, " ")
}

// option changes facts.
type option func(*Facts)

// given are the facts of an APIKey that has these versions, and whose status, if it has an
// Active one, says all that is to be said. The caches show its Secrets, and its spec lists
// what is imported.
func given(versions string, options ...option) *Facts {
	key := &v1alpha1.APIKey{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "team", Name: "agent", UID: "uid", Generation: generation, CreationTimestamp: at(day), Finalizers: []string{v1alpha1.Finalizer},
		},
		Spec: v1alpha1.APIKeySpec{OrganizationRef: v1alpha1.OrganizationReference{Name: "acme"}},
	}
	f := &Facts{
		Now: noon, Key: key, Namespace: Namespace{Permitted: true},
		Organization: &v1alpha1.Organization{ObjectMeta: metav1.ObjectMeta{Name: "acme"}, Spec: v1alpha1.OrganizationSpec{Imports: v1alpha1.ImportAny}},
		Held:         sets.New[string](), Acks: map[Purpose]Ack{}, Claims: map[string]bool{}, Rivals: map[string][]Rival{}, Uses: map[string]Use{},
	}
	if versions != "" {
		key.Status = status{
			UID: "uid", Acceptance: v1alpha1.AcceptanceAccepted, ObservedGeneration: generation, AppliedGeneration: generation, OrganizationID: "acme",
			Scopes: v1alpha1.AllScopes(), Versions: versionsOf(versions),
		}
	}
	for i := range key.Status.Versions {
		if v := &key.Status.Versions[i]; v.Imported() && v.State.Accepted() {
			key.Spec.ImportedKeys = append(key.Spec.ImportedKeys, v1alpha1.ImportedKey{SHA256: v.SHA256})
			key.Status.Imports = append(key.Status.Imports, v.SHA256)
		}
	}
	slices.Sort(key.Status.Imports)
	if v := active(&key.Status); v != nil {
		key.Status.KeyID, key.Status.SecretRef = v.ID, &v1alpha1.SecretReference{Name: "agent"}
		f.Secret.Secret = secretOf(f, names[v.SHA256], false)
		if v := previousOf(&key.Status); v != nil {
			f.Previous.Secret = secretOf(f, names[v.SHA256], true)
		}
		settle(f)
	}
	return f.with(options...)
}

// settle has the status say what it is to say of facts that need no more.
func settle(f *Facts) {
	if plan := Decide(f); plan.Step == StepStatus && !plan.Asks() {
		f.Key.Status = plan.Status
	}
}

func (f *Facts) with(options ...option) *Facts {
	for _, change := range options {
		change(f)
	}
	return f
}

// secretOf is a Secret as the manager writes it for a key, its data redacted.
func secretOf(f *Facts, name string, previous bool) *corev1.Secret {
	data := map[string][]byte{v1alpha1.SecretKeyAPIKey: []byte(name)}
	secretName := f.Key.SecretName() + v1alpha1.PreviousSuffix
	if !previous {
		secretName = f.Key.SecretName()
		for _, entry := range keys.EntryNames(Templates(f.Key)) {
			data[entry] = []byte(name)
		}
	}
	keys.RedactSecretData(data)
	annotations := SecretAnnotations(f.Key, idOf(name), previous)
	annotations[v1alpha1.AnnotationDataDigest] = keys.DataDigest(data)
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: f.Key.Namespace, Name: secretName, UID: "secret", ResourceVersion: "1", Labels: SecretLabels(f.Key), Annotations: annotations,
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(f.Key, v1alpha1.GroupVersion.WithKind("APIKey"))},
		},
		Type: corev1.SecretTypeOpaque, Data: data,
	}
}

// spec changes the spec, which has another generation then.
func spec(change func(*v1alpha1.APIKeySpec)) option {
	return func(f *Facts) {
		change(&f.Key.Spec)
		f.Key.Generation = generation + 1
	}
}

// always changes the spec as if it had been so from the beginning.
func always(change func(*v1alpha1.APIKeySpec)) option {
	return func(f *Facts) { change(&f.Key.Spec) }
}

func organization(change func(*v1alpha1.Organization)) option {
	return func(f *Facts) { change(f.Organization) }
}

func stored(change func(*status)) option { return func(f *Facts) { change(&f.Key.Status) } }

// redescribe changes nothing that matters.
func redescribe(s *v1alpha1.APIKeySpec) { s.Description = "another" }

func suspend(s *v1alpha1.APIKeySpec) { s.Suspend = true }

func pinned(name string) func(*v1alpha1.APIKeySpec) {
	return func(s *v1alpha1.APIKeySpec) { s.ActiveKeyID = idOf(name) }
}

func revoking(list string) func(*v1alpha1.APIKeySpec) {
	return func(s *v1alpha1.APIKeySpec) { s.RevokedKeyIDs = ids(list) }
}

func listing(list string) func(*v1alpha1.APIKeySpec) {
	return func(s *v1alpha1.APIKeySpec) {
		s.ImportedKeys = nil
		for _, hash := range hashes(list) {
			s.ImportedKeys = append(s.ImportedKeys, v1alpha1.ImportedKey{SHA256: hash})
		}
	}
}

func rotating(change func(*v1alpha1.Rotation)) func(*v1alpha1.APIKeySpec) {
	return func(s *v1alpha1.APIKeySpec) { change(&s.Rotation) }
}

// later lets time pass.
func later(by time.Duration) option { return func(f *Facts) { f.Now = f.Now.Add(by) } }

// confirmed has the Organization be the API server's word.
func confirmed(f *Facts) { f.Confirmed = true }

// live has the Secrets be the API server's word, and the keys in them be held.
func live(f *Facts) {
	f.Secret.Live, f.Previous.Live = true, true
	for _, place := range []*Place{&f.Secret, &f.Previous} {
		if place.Secret == nil || !metav1.IsControlledBy(place.Secret, f.Key) {
			continue
		}
		if v := HeldVersion(place.Secret, &f.Key.Status); v != nil {
			f.Held.Insert(v.ID)
		}
	}
}

// minted has this process be the one that has minted a key.
func minted(name string) option {
	return func(f *Facts) { f.Minted = idOf(name); f.Held.Insert(f.Minted) }
}

// fresh answers the question for a new key.
func fresh(name string) option {
	return func(f *Facts) { f.Fresh = ptr.To(digestOf(name)); f.Held.Insert(idOf(name)) }
}

// secret changes what is in the place of the Secret.
func secret(change func(*corev1.Secret)) option { return func(f *Facts) { change(f.Secret.Secret) } }

func noSecret(f *Facts) { f.Secret.Secret = nil }

// holds has a key be in the Secret.
func holds(name string) option {
	return func(f *Facts) { f.Secret.Secret = secretOf(f, name, false) }
}

func holdsPrevious(name string) option {
	return func(f *Facts) { f.Previous.Secret = secretOf(f, name, true) }
}

// complete, none, quick and slow are answers about auth servers.
var (
	complete = Ack{Complete: true}
	none     = Ack{None: true, Again: time.Second}
	quick    = Ack{Again: time.Second}
	slow     = Ack{Slow: true, Missing: 1, Of: 3, Names: "east", Again: time.Second}
)

func acked(kind PurposeKind, ack Ack, format string, values ...any) option {
	return func(f *Facts) { f.Acks[Purpose{kind, fmt.Sprintf(format, values...)}] = ack }
}

// loaded says who has loaded a key; it is about the generation that the facts have then.
func loaded(name string, ack Ack) option {
	return func(f *Facts) { acked(Register, ack, "key %s, generation %d", idOf(name), f.Key.Generation)(f) }
}

// loadedAgain says who has loaded key a since it works again.
func loadedAgain(ack Ack) option {
	return func(f *Facts) {
		acked(Register, ack, "key %s again, generation %d", idOf("a"), f.Key.Generation)(f)
	}
}

func applied(ack Ack) option {
	return func(f *Facts) { acked(Revoke, ack, "generation %d", f.Key.Generation)(f) }
}

func withdrawn(ack Ack) option {
	return func(f *Facts) { acked(Revoke, ack, "withdrawn, generation %d", f.Key.Generation)(f) }
}

func dropped(list string, ack Ack) option {
	return acked(Revoke, ack, "%s", strings.Join(ids(list), " "))
}

// described is a Plan in words: what it asks, or else what it writes.
func described(f *Facts, plan *Plan) string {
	if plan.Asks() {
		return asked(&plan.Ask)
	}
	switch plan.Step {
	case StepNone:
		return "nothing"
	case StepSecret:
		return "Secret " + writes(f, &plan.Secret)
	case StepStatus:
		return "Status " + strings.TrimSpace(strings.Join([]string{states(plan.Status.Versions), acceptance(f, &plan.Status)}, " "))
	case StepFinalizer, StepRemove, StepRelease:
	}
	return string(plan.Step)
}

// acceptance says of a status what is not as it is for a key that works.
func acceptance(f *Facts, s *status) string {
	var words []string
	if s.Acceptance != v1alpha1.AcceptanceAccepted {
		words = append(words, string(s.Acceptance))
	}
	if s.AppliedGeneration != f.Key.Generation {
		words = append(words, "unapplied")
	}
	return strings.Join(words, " ")
}

func asked(q *Questions) string {
	var words []string
	for question, asks := range map[string]bool{"Permission": q.Permission, "Spec": q.Spec, "Secrets": q.Secrets, "Digest": q.Digest, "Superseded": q.Superseded} {
		if asks {
			words = append(words, question)
		}
	}
	for _, digest := range q.Claims {
		words = append(words, "claim "+names[digest.String()])
	}
	for _, purpose := range q.Acks {
		words = append(words, fmt.Sprintf("%s %s", purpose.Kind, named(purpose.Of)))
	}
	return "ask " + strings.Join(words, "; ")
}

func writes(f *Facts, w *SecretWrite) string {
	words := []string{"delete"}
	if w.KeyID != "" {
		words[0] = names[w.KeyID]
	}
	if w.Previous {
		words = append(words, "previous")
	}
	if w.Anew {
		words = append(words, "anew")
	}
	if w.Mark != "" {
		words = append(words, "mark "+names[w.Mark])
	}
	if w.Form != "" && w.Form == f.Repairs.Of(w.Previous).Form {
		words = append(words, "again")
	}
	return strings.Join(words, " ")
}

// row is what is decided about facts.
type row struct {
	facts *Facts
	// want is the Plan in words.
	want string
	// ready, serving and stuck are reasons of Ready, Serving, and Reconciling or Stalled; the
	// last is "" for neither. They are compared where ready is given.
	ready, serving, stuck string
	// again is when to look again; 0 for not compared.
	again time.Duration
}

// decide runs a table: each row is decided twice, and nothing else may come of it.
func decide(t *testing.T, rows map[string]row) {
	t.Helper()
	for name, test := range rows {
		t.Run(name, func(t *testing.T) {
			before := test.facts.Key.DeepCopy()
			plan := Decide(test.facts)
			if got := described(test.facts, &plan); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
			if test.ready != "" {
				standsAs(t, &plan.Status, test.ready, test.serving, test.stuck)
			}
			if test.again != 0 && plan.Again != test.again {
				t.Errorf("looks again after %s, want %s", plan.Again, test.again)
			}
			if !equality.Semantic.DeepEqual(before, test.facts.Key) {
				t.Error("the facts were changed")
			}
			if second := Decide(test.facts); !equality.Semantic.DeepEqual(plan, second) {
				t.Errorf("another decision about the same facts:\n%+v\n%+v", plan, second)
			}
		})
	}
}

// standsAs compares what conditions say.
func standsAs(t *testing.T, s *status, ready, serving, stuck string) {
	t.Helper()
	is, serves := condition(s, v1alpha1.ConditionReady), condition(s, v1alpha1.ConditionServing)
	if is.Reason != ready || serves.Reason != serving {
		t.Errorf("Ready is %s and Serving %s, want %s and %s", is.Reason, serves.Reason, ready, serving)
	}
	if want := conditionStatus[standings[ready].ready]; is.Status != want {
		t.Errorf("Ready is %s, want %s", is.Status, want)
	}
	got := ""
	for _, kind := range []string{v1alpha1.ConditionReconciling, v1alpha1.ConditionStalled} {
		if c := condition(s, kind); c.Status == metav1.ConditionTrue {
			got = strings.TrimSpace(got + " " + kind + " " + c.Reason)
		} else if c.Status != "" {
			t.Errorf("%s is there although it does not hold", kind)
		}
	}
	if got != stuck {
		t.Errorf("got %q beside Ready, want %q", got, stuck)
	}
}
