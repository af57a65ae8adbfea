// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package crd_test

import (
	"fmt"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

var _ = Describe("Rotation of an APIKey", func() {
	rotation := func(format string, values ...any) string {
		return fmt.Sprintf("organizationRef: {name: acme}\nrotation: {%s}", fmt.Sprintf(format, values...))
	}
	window := func(format string, values ...any) string {
		return rotation("interval: 720h, window: {%s}", fmt.Sprintf(format, values...))
	}

	DescribeTable("accepts", func(ctx SpecContext, spec string) {
		Expect(tryCreate(ctx, apiKey(spec))).To(Succeed())
	},
		Entry("nothing of its own", rotation("")),
		Entry("the shortest interval", rotation("interval: 10m")),
		Entry("the longest interval", rotation("interval: 8784h")),
		Entry("a window", window("days: [Monday, Sunday], start: '09:00', end: '17:00', timeZone: America/Argentina/Buenos_Aires")),
		Entry("a window past midnight, in UTC", window("days: [Saturday], start: '22:00', end: '04:00'")),
		Entry("texts", rotation("trigger: '2026-03-04', retire: 'ticket 7', undo: x")),
		Entry("no overlap", rotation("overlap: {min: 0s, quiet: 0s, max: 0s}")),
		Entry("the longest overlap", rotation("overlap: {min: 8784h, quiet: 8784h, max: 8784h}")),
		Entry("a min up to the default max", rotation("overlap: {min: 168h}")),
		Entry("a restart of what takes the Secret by env", rotation("restart: {policy: Env}")),
		Entry("a restart of what is named", rotation("restart: {policy: Named, workloads: [{kind: Deployment, name: a}, {kind: StatefulSet, name: a}]}")),
	)

	DescribeTable("refuses", func(ctx SpecContext, spec, message string) {
		Expect(tryCreate(ctx, apiKey(spec))).To(beRefused(message))
	},
		Entry("a shorter interval", rotation("interval: 9m59s"), "spec.rotation.interval is not between 10m and 8784h (366 days): write it as 720h"),
		Entry("a longer interval", rotation("interval: 8784h1s"), "spec.rotation.interval is not between 10m and 8784h"),
		Entry("an interval in days", rotation("interval: 30d"), "spec.rotation.interval"),
		Entry("an interval of a number", rotation("interval: 30"), "spec.rotation.interval in body must be of type string"),
		Entry("a window without days", window("start: '09:00', end: '17:00'"), "spec.rotation.window.days: Required value"),
		Entry("a window on no day", window("days: [], start: '09:00', end: '17:00'"), "spec.rotation.window.days in body should have at least 1 items"),
		Entry("a day twice", window("days: [Monday, Monday], start: '09:00', end: '17:00'"), `spec.rotation.window.days[1]: Duplicate value: "Monday"`),
		Entry("a day that does not exist", window("days: [Mon], start: '09:00', end: '17:00'"), `spec.rotation.window.days[0]: Unsupported value: "Mon"`),
		Entry("an hour that does not exist", window("days: [Monday], start: '24:00', end: '17:00'"), "spec.rotation.window.start in body should match"),
		Entry("a time without minutes", window("days: [Monday], start: '09', end: '17:00'"), "spec.rotation.window.start in body should match"),
		Entry("an end that does not exist", window("days: [Monday], start: '09:00', end: '17:60'"), "spec.rotation.window.end in body should match"),
		Entry("a window without a start", window("days: [Monday], end: '17:00'"), "spec.rotation.window.start: Required value"),
		Entry("a window without an end", window("days: [Monday], start: '09:00'"), "spec.rotation.window.end: Required value"),
		Entry("a window of no length", window("days: [Monday], start: '09:00', end: '09:00'"), "spec.rotation.window has the same start and end: leave the window out to allow the whole day"),
		Entry("a time zone with a space", window("days: [Monday], start: '09:00', end: '10:00', timeZone: 'a b'"), "spec.rotation.window.timeZone in body should match"),
		Entry("a time zone of 65 characters", window("days: [Monday], start: '09:00', end: '10:00', timeZone: %s", chars(65)), "spec.rotation.window.timeZone: Too long: may not be more than 64"),
		Entry("a trigger of 254 characters", rotation("trigger: %s", chars(254)), "spec.rotation.trigger: Too long: may not be more than 253"),
		Entry("a retire of 254 characters", rotation("retire: %s", chars(254)), "spec.rotation.retire: Too long: may not be more than 253"),
		Entry("an undo of 254 characters", rotation("undo: %s", chars(254)), "spec.rotation.undo: Too long: may not be more than 253"),
		Entry("a negative min", rotation("overlap: {min: -1s}"), "spec.rotation.overlap.min is not between 0s and 8784h"),
		Entry("a negative quiet", rotation("overlap: {quiet: -1s}"), "spec.rotation.overlap.quiet is not between 0s and 8784h"),
		Entry("a negative max", rotation("overlap: {min: 0s, max: -1s}"), "spec.rotation.overlap.max is not between 0s and 8784h"),
		Entry("a min of more than a year", rotation("overlap: {min: 8785h, max: 8784h}"), "spec.rotation.overlap.min is not between 0s and 8784h"),
		Entry("a quiet of more than a year", rotation("overlap: {quiet: 8785h}"), "spec.rotation.overlap.quiet is not between 0s and 8784h"),
		Entry("a max of more than a year", rotation("overlap: {max: 8785h}"), "spec.rotation.overlap.max is not between 0s and 8784h"),
		Entry("a min after max", rotation("overlap: {min: 2h, max: 1h}"), "spec.rotation.overlap.min (default 15m) is longer than max (default 168h): no time is both after min and before max"),
		Entry("a max before the default min", rotation("overlap: {max: 1m}"), "spec.rotation.overlap.min (default 15m) is longer than max"),
		Entry("a min after the default max", rotation("overlap: {min: 169h}"), "spec.rotation.overlap.min (default 15m) is longer than max (default 168h)"),
		Entry("a policy of restarts that does not exist", rotation("restart: {policy: All}"), `spec.rotation.restart.policy: Unsupported value: "All"`),
		Entry("workloads without the policy", rotation("restart: {workloads: [{kind: Deployment, name: a}]}"), "spec.rotation.restart.workloads goes with policy Named, and only with that"),
		Entry("the policy without workloads", rotation("restart: {policy: Named}"), "spec.rotation.restart.workloads goes with policy Named"),
		Entry("workloads with another policy", rotation("restart: {policy: Env, workloads: [{kind: Deployment, name: a}]}"), "spec.rotation.restart.workloads goes with policy Named"),
		Entry("no workload", rotation("restart: {policy: Named, workloads: []}"), "spec.rotation.restart.workloads in body should have at least 1 items"),
		Entry("a workload twice", rotation("restart: {policy: Named, workloads: [{kind: Deployment, name: a}, {kind: Deployment, name: a}]}"), "spec.rotation.restart.workloads[1]: Duplicate value"),
		Entry("a workload of another kind", rotation("restart: {policy: Named, workloads: [{kind: Pod, name: a}]}"), `spec.rotation.restart.workloads[0].kind: Unsupported value: "Pod"`),
		Entry("a workload without a name", rotation("restart: {policy: Named, workloads: [{kind: Deployment, name: ''}]}"), "spec.rotation.restart.workloads[0].name in body should be at least 1 chars long"),
		Entry("a workload's name that is a path", rotation("restart: {policy: Named, workloads: [{kind: Deployment, name: ../secrets}]}"), "spec.rotation.restart.workloads has a name that no workload can have"),
		Entry("a workload's name with an escape sequence", rotation(`restart: {policy: Named, workloads: [{kind: Deployment, name: "\e[2Jweb"}]}`), "spec.rotation.restart.workloads has a name that no workload can have"),
		Entry("a workload's name of 254 characters", rotation("restart: {policy: Named, workloads: [{kind: Deployment, name: %s}]}", chars(254)), "spec.rotation.restart.workloads[0].name: Too long: may not be more than 253"),
		Entry("another value for previous-api-key", "organizationRef: {name: acme}\nsecret: {data: {previous-api-key: mine}}", "spec.secret.data cannot set api-key or previous-api-key: they always hold the keys themselves"),
	)
})
