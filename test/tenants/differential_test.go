// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package tenants

import (
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
)

var (
	differentialTime = flag.Duration("differential.time", 5*time.Second, "for how long objects are generated that the schema and the programs have to agree on")
	differentialSeed = flag.Uint64("differential.seed", 1, "what they are drawn from")
)

const (
	// storedOneIn is how many of the drawn objects are only tried for each that is stored,
	// and storedAtOnce is how many are at the same time.
	storedOneIn, storedAtOnce = 8, 100
)

// What the schema accepts, the programs decode: objects are drawn at random, and what a
// real API server accepts of them goes through the decoders of the programs. Some are
// stored, where their namespace is permitted and where it is not, and go through all that
// the programs do with them.
var _ = It("The schema accepts nothing that the programs cannot decode", func(ctx SpecContext) {
	r := rand.New(rand.NewPCG(*differentialSeed, 2))
	permitted, unpermitted := newPermitted(ctx), newTenant(ctx)
	unpermitted.organization = permitted.organization
	accepted, refused, stored := 0, 0, []*unstructured.Unstructured{}
	remove := func(objects []*unstructured.Unstructured) {
		for _, object := range objects {
			Expect(client.IgnoreNotFound(admin.Delete(ctx, object))).To(Succeed())
		}
	}
	for began, drawn := time.Now(), 0; time.Since(began) < *differentialTime; drawn++ {
		by := []*tenant{permitted, unpermitted}[r.IntN(2)]
		object := draw(r, by, drawn)
		described, err := json.Marshal(object.Object)
		Expect(err).NotTo(HaveOccurred())
		var as client.Client = admin
		options := []client.CreateOption{client.DryRunAll}
		if object.GetKind() == "APIKey" {
			as = by.as
		}
		if r.IntN(storedOneIn) == 0 {
			options = nil
		}
		switch err := as.Create(ctx, object, options...); {
		case apierrors.IsInvalid(err), apierrors.IsBadRequest(err), apierrors.IsForbidden(err):
			refused++
			continue
		case err != nil:
			Fail(fmt.Sprintf("%s: %v", described, err))
		}
		accepted++
		Expect(decodable(object)).To(Succeed(), "seed %d: %s", *differentialSeed, described)
		if options == nil {
			stored = append(stored, object)
		}
		if len(stored) > storedAtOnce {
			remove(stored[:storedAtOnce/2])
			stored = slices.Clone(stored[storedAtOnce/2:])
		}
	}
	bystanders.live(ctx)
	remove(stored)
	bystanders.live(ctx)
	for _, process := range product.Processes() {
		Expect(process.Ended()).NotTo(BeClosed(), process.Name)
		Expect(linesWith(process.LogPath, "panic")).To(BeEmpty(), process.Name)
	}
	fmt.Fprintf(os.Stderr, "tenants: of objects drawn at random %d accepted, %d refused\n", accepted, refused)
	Expect(accepted).To(BeNumerically(">", 20), "too few accepted to tell")
	Expect(refused).To(BeNumerically(">", 20), "too few refused to tell")
}, NodeTimeout(2*time.Hour))

// decodable reports why an object, as the API server has answered with it, is not decoded
// whole.
func decodable(object *unstructured.Unstructured) error {
	object = object.DeepCopy()
	// A dry run stores nothing.
	object.SetResourceVersion("7")
	text, err := object.MarshalJSON()
	if err != nil {
		return err
	}
	var refusals []string
	if object.GetKind() == "APIKey" {
		one, list, converted := &v1alpha1.APIKey{}, &v1alpha1.APIKeyList{}, &v1alpha1.APIKey{}
		err = decodeAll(text, one, list, converted, object)
		refusals = append(refusals, one.Refusal, converted.Refusal)
		if err == nil {
			refusals = append(refusals, list.Items[0].Refusal)
		}
	} else {
		one, list, converted := &v1alpha1.Organization{}, &v1alpha1.OrganizationList{}, &v1alpha1.Organization{}
		err = decodeAll(text, one, list, converted, object)
		refusals = append(refusals, one.Refusal, converted.Refusal)
		if err == nil {
			refusals = append(refusals, list.Items[0].Refusal)
		}
	}
	for _, refusal := range refusals {
		if err == nil && refusal != "" {
			err = fmt.Errorf("refused: %s", refusal)
		}
	}
	return err
}

func decodeAll(text []byte, one, list, converted any, object *unstructured.Unstructured) error {
	if err := json.Unmarshal(text, one); err != nil {
		return err
	}
	if err := json.Unmarshal(fmt.Appendf(nil, `{"items":[%s]}`, text), list); err != nil {
		return err
	}
	return runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, converted)
}

// Values that look like times and durations, and values of other types.
var (
	oddTimes = []any{
		"2027-01-01T00:00:00Z", "2027-01-01t00:00:00z", "2027-01-01T00:00:00+99:99", "2027-01-01T00:00:00Zx", "2027-02-29T00:00:00Z", "2028-02-29T00:00:00Z",
		"2027-01-01T24:00:00Z", "2016-12-31T23:59:60Z", "0000-01-01T00:00:00Z", "9999-12-31T23:59:59-23:59", "1970-01-01T00:00:00+23:59", "2027-01-01T00:00:00.Z",
		"2027-01-01T00:00:00,5Z", "2027-01-01T00:00:00.123456789123Z", "2027-01-01 00:00:00Z", "2027-1-1T0:0:0Z", "2027-01-01", " 2027-01-01T00:00:00Z", "2027-01-01T00:00:00Z\n", "",
	}
	oddDurations = []any{
		"1h", "720h", "1h30m0.5s", "1d", "P1D", "-1h", "+1h", "1", "0", "", "1e3s", ".5h", "5.h", "99999h", "9999999999999999999h", "60000000us", "60000000µs", "60000000μs", "1h 1m", "１h", "1H", "720h\n",
	}
	oddValues = []any{nil, true, int64(1), 1.5, "text", "\u202e\u0000", []any{}, []any{nil}, map[string]any{}, map[string]any{"a": nil}, int64(1) << 62, 1e300}
	oddNames  = []any{"acme", "..", "a/b", "A", "a.b", "ä", "\n"}
)

// draw returns an APIKey of the tenant, or an Organization, with some odd values in it.
func draw(r *rand.Rand, by *tenant, number int) *unstructured.Unstructured {
	fields, odd := map[string]any{}, func(values []any) any {
		if r.IntN(8) == 0 {
			return oddValues[r.IntN(len(oddValues))]
		}
		return values[r.IntN(len(values))]
	}
	set := func(values []any, path ...string) {
		if r.IntN(10) != 0 {
			return
		}
		node := fields
		for _, name := range path[:len(path)-1] {
			next, ok := node[name].(map[string]any)
			if !ok {
				next = map[string]any{}
				node[name] = next
			}
			node = next
		}
		node[path[len(path)-1]] = odd(values)
	}
	scopes := []any{[]any{"ingest"}, []any{"sql"}, []any{nil}, []any{"query", "query"}}
	kind := "APIKey"
	if r.IntN(4) == 0 {
		kind = "Organization"
		set(oddDurations, "maxKeyAge")
		set([]any{"acme", "a|b"}, "id")
		set(scopes, "scopes")
		set([]any{"Forbidden", "Foreign", "any"}, "imports")
		set([]any{true}, "suspend")
		set([]any{map[string]any{"matchLabels": map[string]any{"a": "b"}}, map[string]any{"matchExpressions": []any{map[string]any{"key": "a", "operator": "Like"}}}}, "namespaces", "selector")
		set([]any{[]any{map[string]any{"namespace": "a", "name": "b"}}}, "blocked")
	} else {
		fields["organizationRef"] = map[string]any{"name": by.organization}
		if r.IntN(8) == 0 {
			fields["organizationRef"] = map[string]any{"name": odd(oddNames)}
		}
		drawKey(set, scopes)
	}
	if r.IntN(4) == 0 {
		fields["unknown"] = odd(oddValues)
	}
	object := &unstructured.Unstructured{Object: map[string]any{"spec": fields}}
	object.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind(kind))
	metadata := map[string]any{"name": fmt.Sprintf("drawn-%d", number)}
	if kind == "APIKey" {
		metadata["namespace"] = by.namespace
	}
	for _, name := range []string{"creationTimestamp", "deletionTimestamp", "labels", "annotations", "finalizers", "ownerReferences", "managedFields", "generation", "deletionGracePeriodSeconds"} {
		if r.IntN(16) == 0 {
			metadata[name] = odd(oddTimes)
		}
	}
	object.Object["metadata"] = metadata
	return object
}

func drawKey(set func(values []any, path ...string), scopes []any) {
	set(oddTimes, "expirationTime")
	set(oddDurations, "ttl")
	set(oddDurations, "rotation", "interval")
	set(oddDurations, "rotation", "overlap", "min")
	set(oddDurations, "rotation", "overlap", "idle")
	set(oddDurations, "rotation", "overlap", "max")
	set([]any{"text"}, "description")
	set(scopes, "scopes")
	set([]any{true, false}, "suspend")
	set([]any{"s", ".."}, "secret", "name")
	set([]any{map[string]any{"a": "b"}, map[string]any{"a": int64(1)}}, "secret", "data")
	set([]any{map[string]any{"a": "b"}}, "secret", "labels")
	set(oddTimes, "rotation", "rotateAfter")
	set([]any{[]any{"0123456789ab"}, []any{"0123456789AB"}, []any{int64(1)}}, "revokedKeyIDs")
	set([]any{"0123456789ab", "0123456789ABC", int64(123456789012)}, "activeKeyID")
	set([]any{"None", "Detected", "detected"}, "rotation", "restart", "policy")
	set([]any{map[string]any{"schedule": "0 1 * * MON", "duration": "1h"}}, "rotation", "window")
	set(oddDurations, "rotation", "window", "duration")
	set([]any{[]any{map[string]any{"sha256": fmt.Sprintf("%064x", 1)}}}, "importedKeys")
}
