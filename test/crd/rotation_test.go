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
		Entry("a window", window("schedule: '0 9 * * MON-THU', duration: 7h, timeZone: America/Argentina/Buenos_Aires")),
		Entry("a window past midnight, in UTC", window("schedule: '0 22 * * 6', duration: 6h")),
		Entry("a window with lists, ranges and steps", window("schedule: '0,30 */2 1-7,15 JAN,jul ?', duration: 1m")),
		Entry("the longest window", window("schedule: '59 23 31 12 0', duration: 744h")),
		Entry("a time after which keys are replaced", rotation("rotateAfter: 2026-03-04T05:06:07Z")),
		Entry("no overlap", rotation("overlap: {min: 0s, idle: 0s, max: 0s}")),
		Entry("the longest overlap", rotation("overlap: {min: 8784h, idle: 8784h, max: 8784h}")),
		Entry("a min up to the default max", rotation("overlap: {min: 168h}")),
		Entry("a restart of what takes the Secret by env", rotation("restart: {policy: Detected}")),
		Entry("a restart of what is named", rotation("restart: {policy: Named, workloads: [{kind: Deployment, name: a}, {kind: StatefulSet, name: a}]}")),
	)

	DescribeTable("refuses", func(ctx SpecContext, spec, message string) {
		Expect(tryCreate(ctx, apiKey(spec))).To(beRefused(message))
	},
		Entry("a shorter interval", rotation("interval: 9m59s"), "spec.rotation.interval is not between 10m and 8784h (366 days): write it as 720h"),
		Entry("a longer interval", rotation("interval: 8784h1s"), "spec.rotation.interval is not between 10m and 8784h"),
		Entry("an interval in days", rotation("interval: 30d"), "spec.rotation.interval"),
		Entry("an interval of a number", rotation("interval: 30"), "spec.rotation.interval in body must be of type string"),
		Entry("a window without a schedule", window("duration: 8h"), "spec.rotation.window.schedule: Required value"),
		Entry("a window without a duration", window("schedule: '0 9 * * *'"), "spec.rotation.window.duration: Required value"),
		Entry("a schedule of four fields", window("schedule: '0 9 * *', duration: 8h"), "spec.rotation.window.schedule is not a cron schedule: write five fields"),
		Entry("a schedule of six fields", window("schedule: '0 0 9 * * *', duration: 8h"), "spec.rotation.window.schedule is not a cron schedule"),
		Entry("a macro", window("schedule: '@daily', duration: 8h"), "spec.rotation.window.schedule is not a cron schedule"),
		Entry("a time zone in the schedule", window("schedule: 'TZ=UTC 0 9 * * *', duration: 8h"), "spec.rotation.window.schedule is not a cron schedule"),
		Entry("a minute that does not exist", window("schedule: '60 9 * * *', duration: 8h"), "spec.rotation.window.schedule is not a cron schedule"),
		Entry("an hour that does not exist", window("schedule: '0 24 * * *', duration: 8h"), "spec.rotation.window.schedule is not a cron schedule"),
		Entry("a day that does not exist", window("schedule: '0 9 32 * *', duration: 8h"), "spec.rotation.window.schedule is not a cron schedule"),
		Entry("a month that does not exist", window("schedule: '0 9 * 13 *', duration: 8h"), "spec.rotation.window.schedule is not a cron schedule"),
		Entry("a day of the week that does not exist", window("schedule: '0 9 * * 8', duration: 8h"), "spec.rotation.window.schedule is not a cron schedule"),
		Entry("a duration of less than a minute", window("schedule: '0 9 * * *', duration: 59s"), "spec.rotation.window.duration is not between 1m and 744h (31 days): write it as 8h"),
		Entry("a duration of more than 31 days", window("schedule: '0 9 * * *', duration: 745h"), "spec.rotation.window.duration is not between 1m and 744h"),
		Entry("a time zone with a space", window("schedule: '0 9 * * 1', duration: 1h, timeZone: 'a b'"), "spec.rotation.window.timeZone in body should match"),
		Entry("a time zone of 65 characters", window("schedule: '0 9 * * 1', duration: 1h, timeZone: %s", chars(65)), "spec.rotation.window.timeZone: Too long: may not be more than 64"),
		Entry("a rotation after no time", rotation("rotateAfter: now"), "spec.rotation.rotateAfter in body should match"),
		Entry("a rotation after a date", rotation("rotateAfter: '2026-03-04'"), "spec.rotation.rotateAfter in body should match"),
		Entry("a rotation after a day that does not exist", rotation("rotateAfter: '2026-02-29T00:00:00Z'"), "spec.rotation.rotateAfter is a 29th of February in a year that has none"),
		Entry("a negative min", rotation("overlap: {min: -1s}"), "spec.rotation.overlap.min is not between 0s and 8784h"),
		Entry("a negative idle", rotation("overlap: {idle: -1s}"), "spec.rotation.overlap.idle is not between 0s and 8784h"),
		Entry("a negative max", rotation("overlap: {min: 0s, max: -1s}"), "spec.rotation.overlap.max is not between 0s and 8784h"),
		Entry("a min of more than a year", rotation("overlap: {min: 8785h, max: 8784h}"), "spec.rotation.overlap.min is not between 0s and 8784h"),
		Entry("an idle of more than a year", rotation("overlap: {idle: 8785h}"), "spec.rotation.overlap.idle is not between 0s and 8784h"),
		Entry("a max of more than a year", rotation("overlap: {max: 8785h}"), "spec.rotation.overlap.max is not between 0s and 8784h"),
		Entry("a min after max", rotation("overlap: {min: 2h, max: 1h}"), "spec.rotation.overlap.min (default 15m) is longer than max (default 168h): lower min, or raise max"),
		Entry("a max before the default min", rotation("overlap: {max: 1m}"), "spec.rotation.overlap.min (default 15m) is longer than max"),
		Entry("a min after the default max", rotation("overlap: {min: 169h}"), "spec.rotation.overlap.min (default 15m) is longer than max (default 168h)"),
		Entry("a policy of restarts that does not exist", rotation("restart: {policy: All}"), `spec.rotation.restart.policy: Unsupported value: "All"`),
		Entry("workloads without the policy", rotation("restart: {workloads: [{kind: Deployment, name: a}]}"), "spec.rotation.restart.workloads goes with policy Named, and only with that"),
		Entry("the policy without workloads", rotation("restart: {policy: Named}"), "spec.rotation.restart.workloads goes with policy Named"),
		Entry("workloads with another policy", rotation("restart: {policy: Detected, workloads: [{kind: Deployment, name: a}]}"), "spec.rotation.restart.workloads goes with policy Named"),
		Entry("no workload", rotation("restart: {policy: Named, workloads: []}"), "spec.rotation.restart.workloads in body should have at least 1 items"),
		Entry("a workload twice", rotation("restart: {policy: Named, workloads: [{kind: Deployment, name: a}, {kind: Deployment, name: a}]}"), "spec.rotation.restart.workloads[1]: Duplicate value"),
		Entry("a workload of another kind", rotation("restart: {policy: Named, workloads: [{kind: Pod, name: a}]}"), `spec.rotation.restart.workloads[0].kind: Unsupported value: "Pod"`),
		Entry("a workload without a name", rotation("restart: {policy: Named, workloads: [{kind: Deployment, name: ''}]}"), "spec.rotation.restart.workloads[0].name in body should be at least 1 chars long"),
		Entry("a workload's name that is a path", rotation("restart: {policy: Named, workloads: [{kind: Deployment, name: ../secrets}]}"), "spec.rotation.restart.workloads has a name that no workload can have"),
		Entry("a workload's name with an escape sequence", rotation(`restart: {policy: Named, workloads: [{kind: Deployment, name: "\e[2Jweb"}]}`), "spec.rotation.restart.workloads has a name that no workload can have"),
		Entry("a workload's name of 254 characters", rotation("restart: {policy: Named, workloads: [{kind: Deployment, name: %s}]}", chars(254)), "spec.rotation.restart.workloads[0].name: Too long: may not be more than 253"),
	)
})
