// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Rotation says when the key is replaced, and when the one before it ends.
type Rotation struct {
	// interval is the age, since it came into the Secret, at which the key is replaced:
	// at least 10 minutes, at most a year. Up to a tenth of it is taken off, differently
	// for each APIKey, so that not all rotate in the same second.
	// Default: the key is replaced for its age only as the Organization's maxKeyAge asks.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="self.matches('^(0|([0-9]{1,5}([.][0-9]{1,9})?h|[0-9]{1,7}([.][0-9]{1,9})?m|[0-9]{1,9}([.][0-9]{1,9})?(s|ms|us|µs|ns))+)$') && duration(self) >= duration('10m') && duration(self) <= duration('8784h')",message="spec.rotation.interval is not between 10m and 8784h (366 days): write it as 720h"
	Interval *metav1.Duration `json:"interval,omitempty"`

	// window is when keys may be replaced for their age. A key that comes due outside of
	// it waits for the next one, unless maxKeyAge comes before that. rotateAfter does not
	// wait.
	// Default: always.
	// +optional
	Window *RotationWindow `json:"window,omitempty"`

	// rotateAfter is a time: when it has come, a key that was not registered after it is
	// replaced, once. It may lie ahead.
	// Written as 2027-01-31T00:00:00Z: RFC 3339, to the second.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:Pattern=`^(19[7-9]|[2-8][0-9]{2}|9[0-8][0-9])[0-9]-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|[12][0-9]))T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]([.][0-9]+)?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$`
	// +kubebuilder:validation:XValidation:rule="!self.matches('^[0-9]{4}-02-29T') || int(self.substring(0, 4)) % 4 == 0 && (int(self.substring(0, 4)) % 100 != 0 || int(self.substring(0, 4)) % 400 == 0)",message="spec.rotation.rotateAfter is a 29th of February in a year that has none"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Schemaless
	RotateAfter *metav1.Time `json:"rotateAfter,omitempty"`

	// overlap says how long the key that was replaced goes on working.
	// +optional
	Overlap Overlap `json:"overlap,omitzero"`

	// restart says which workloads are restarted when the key has changed.
	// Default: none. A volume needs no restart: the kubelet brings it up to date.
	// +optional
	Restart Restart `json:"restart,omitzero"`
}

// RotationWindow opens again and again for some time, as a CronJob starts its jobs.
type RotationWindow struct {
	// schedule is when the window opens, as a CronJob's: minute, hour, day of the month,
	// month and day of the week. "0 9 * * MON-THU" opens it at 09:00 from Monday to Thursday.
	// A time that the change to summer time leaves out does not open it.
	// +required
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:XValidation:rule="self.matches('^([*?]|[0-5]?[0-9](-[0-5]?[0-9])?)(/[1-9][0-9]?)?(,([*?]|[0-5]?[0-9](-[0-5]?[0-9])?)(/[1-9][0-9]?)?)* ([*?]|(2[0-3]|[01]?[0-9])(-(2[0-3]|[01]?[0-9]))?)(/[1-9][0-9]?)?(,([*?]|(2[0-3]|[01]?[0-9])(-(2[0-3]|[01]?[0-9]))?)(/[1-9][0-9]?)?)* ([*?]|(3[01]|[12][0-9]|0?[1-9])(-(3[01]|[12][0-9]|0?[1-9]))?)(/[1-9][0-9]?)?(,([*?]|(3[01]|[12][0-9]|0?[1-9])(-(3[01]|[12][0-9]|0?[1-9]))?)(/[1-9][0-9]?)?)* ([*?]|(1[0-2]|0?[1-9]|[A-Za-z]{3})(-(1[0-2]|0?[1-9]|[A-Za-z]{3}))?)(/[1-9][0-9]?)?(,([*?]|(1[0-2]|0?[1-9]|[A-Za-z]{3})(-(1[0-2]|0?[1-9]|[A-Za-z]{3}))?)(/[1-9][0-9]?)?)* ([*?]|([0-6]|[A-Za-z]{3})(-([0-6]|[A-Za-z]{3}))?)(/[1-9][0-9]?)?(,([*?]|([0-6]|[A-Za-z]{3})(-([0-6]|[A-Za-z]{3}))?)(/[1-9][0-9]?)?)*$')",message="spec.rotation.window.schedule is not a cron schedule: write five fields, minute, hour, day of month, month and day of week, as 0 9 * * MON-THU"
	Schedule string `json:"schedule"`
	// duration is how long it stays open: from a minute to 744h (31 days).
	// +required
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="self.matches('^(0|([0-9]{1,5}([.][0-9]{1,9})?h|[0-9]{1,7}([.][0-9]{1,9})?m|[0-9]{1,9}([.][0-9]{1,9})?(s|ms|us|µs|ns))+)$') && duration(self) >= duration('1m') && duration(self) <= duration('744h')",message="spec.rotation.window.duration is not between 1m and 744h (31 days): write it as 8h"
	Duration metav1.Duration `json:"duration"`
	// timeZone is a name of the IANA time zone database, as Europe/Berlin.
	// Default: UTC.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9_+/-]*$`
	TimeZone string `json:"timeZone,omitempty"`
}

// Overlap is the time in which a key and its successor both work. The key that was
// replaced is revoked when its successor has been seen in use and it has been idle
// itself; never before min, always by max.
// +kubebuilder:validation:XValidation:rule="has(self.min) && !self.min.matches('^(0|([0-9]{1,5}([.][0-9]{1,9})?h|[0-9]{1,7}([.][0-9]{1,9})?m|[0-9]{1,9}([.][0-9]{1,9})?(s|ms|us|µs|ns))+)$') || has(self.max) && !self.max.matches('^(0|([0-9]{1,5}([.][0-9]{1,9})?h|[0-9]{1,7}([.][0-9]{1,9})?m|[0-9]{1,9}([.][0-9]{1,9})?(s|ms|us|µs|ns))+)$') || duration(has(self.min) ? self.min : '15m') <= duration(has(self.max) ? self.max : '168h')",message="spec.rotation.overlap.min (default 15m) is longer than max (default 168h): no time is both after min and before max"
type Overlap struct {
	// min is how long the key that was replaced works in any case, since it was
	// replaced. The kubelet may take more than a minute to bring a volume up to date.
	// Default: 15m.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="self.matches('^(0|([0-9]{1,5}([.][0-9]{1,9})?h|[0-9]{1,7}([.][0-9]{1,9})?m|[0-9]{1,9}([.][0-9]{1,9})?(s|ms|us|µs|ns))+)$') && duration(self) >= duration('0s') && duration(self) <= duration('8784h')",message="spec.rotation.overlap.min is not between 0s and 8784h"
	Min *metav1.Duration `json:"min,omitempty"`
	// idle is how long nobody may have used the key that was replaced before it is
	// taken to be out of use. Default: 25h, so that a daily job is noticed.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="self.matches('^(0|([0-9]{1,5}([.][0-9]{1,9})?h|[0-9]{1,7}([.][0-9]{1,9})?m|[0-9]{1,9}([.][0-9]{1,9})?(s|ms|us|µs|ns))+)$') && duration(self) >= duration('0s') && duration(self) <= duration('8784h')",message="spec.rotation.overlap.idle is not between 0s and 8784h"
	Idle *metav1.Duration `json:"idle,omitempty"`
	// max is when the key that was replaced ends, whoever still uses it, since it was
	// replaced. Default: 168h.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="self.matches('^(0|([0-9]{1,5}([.][0-9]{1,9})?h|[0-9]{1,7}([.][0-9]{1,9})?m|[0-9]{1,9}([.][0-9]{1,9})?(s|ms|us|µs|ns))+)$') && duration(self) >= duration('0s') && duration(self) <= duration('8784h')",message="spec.rotation.overlap.max is not between 0s and 8784h"
	Max *metav1.Duration `json:"max,omitempty"`
}

// RestartPolicy says which workloads are restarted when the key has changed.
// +kubebuilder:validation:Enum=None;Detected;Named
type RestartPolicy string

const (
	// RestartNone restarts nothing.
	RestartNone RestartPolicy = "None"
	// RestartDetected restarts the workloads of the namespace that take the Secret by env,
	// envFrom or subPath: they never see it change by themselves.
	RestartDetected RestartPolicy = "Detected"
	// RestartNamed restarts the workloads that are named.
	RestartNamed RestartPolicy = "Named"
)

// Restart says which workloads are restarted when the key has changed, once for each
// change. The key that was replaced is not retired before their rollouts are finished.
// +kubebuilder:validation:XValidation:rule="(has(self.policy) && self.policy == 'Named') == has(self.workloads)",message="spec.rotation.restart.workloads goes with policy Named, and only with that"
type Restart struct {
	// policy is None, Detected or Named. Default: None.
	// +optional
	Policy RestartPolicy `json:"policy,omitempty"`
	// workloads to restart, in the APIKey's namespace.
	// +optional
	// +listType=map
	// +listMapKey=kind
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	Workloads []WorkloadReference `json:"workloads,omitempty"`
}

// WorkloadReference names a workload in the APIKey's namespace.
type WorkloadReference struct {
	// kind of the workload.
	// +required
	// +kubebuilder:validation:Enum=Deployment;StatefulSet;DaemonSet
	Kind string `json:"kind"`
	// name of the workload.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="!format.dns1123Subdomain().validate(self).hasValue()",message="spec.rotation.restart.workloads has a name that no workload can have: use lower case letters, digits, '-' and '.', at most 253 characters"
	Name string `json:"name"`
}

// ImportedKey is a key that was issued elsewhere, known by its hash.
type ImportedKey struct {
	// sha256 of the whole key as clients send it, in lower case hexadecimal. The key may
	// have any form of 16 to 256 visible ASCII characters without a comma. Import only
	// what a machine has drawn at random, of 128 bits or more: SHA-256 does not protect
	// what can be guessed.
	// +required
	// +kubebuilder:validation:Pattern=`^[0-9a-f]{64}$`
	SHA256 string `json:"sha256"`
	// description tells people which key it is; it has no effect.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	// +kubebuilder:validation:XValidation:rule="self.matches(r'^[^\\p{C}\\p{Zl}\\p{Zp}]*$')",message="spec.importedKeys[].description has a line break, or a control or formatting character: write one line of plain text"
	Description string `json:"description,omitempty"`
}
