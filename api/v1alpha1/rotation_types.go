// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Rotation says when the key is replaced, and when the one before it ends.
//
// trigger, retire and undo are acted on once each time their text changes; which
// texts were acted on is in status.rotation. So they work from git, and applying the
// same manifest again does nothing.
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
	// it waits for the next one, unless maxKeyAge comes before that. trigger and undo
	// do not wait.
	// Default: always.
	// +optional
	Window *RotationWindow `json:"window,omitempty"`

	// trigger replaces the key now, each time its text changes. The text has no meaning;
	// a date, a ticket or a counter does.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.matches(r'^[^\\p{C}\\p{Zl}\\p{Zp}]*$')",message="spec.rotation.trigger has a line break, or a control or formatting character: write one line of plain text"
	Trigger string `json:"trigger,omitempty"`

	// overlap says how long the key that was replaced goes on working.
	// +optional
	Overlap Overlap `json:"overlap,omitzero"`

	// retire ends every key that was replaced now, each time its text changes, whoever
	// still uses it.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.matches(r'^[^\\p{C}\\p{Zl}\\p{Zp}]*$')",message="spec.rotation.retire has a line break, or a control or formatting character: write one line of plain text"
	Retire string `json:"retire,omitempty"`

	// undo makes the key that was replaced last the current one again, each time its
	// text changes, as long as that key still works: the two change places, and the newer
	// retires in its turn.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.matches(r'^[^\\p{C}\\p{Zl}\\p{Zp}]*$')",message="spec.rotation.undo has a line break, or a control or formatting character: write one line of plain text"
	Undo string `json:"undo,omitempty"`

	// restart says which workloads are restarted when the key has changed.
	// Default: none. A volume needs no restart: the kubelet brings it up to date.
	// +optional
	Restart Restart `json:"restart,omitzero"`
}

// Weekday is a day of the week.
// +kubebuilder:validation:Enum=Monday;Tuesday;Wednesday;Thursday;Friday;Saturday;Sunday
type Weekday string

// RotationWindow is a time of day on some days of the week.
// +kubebuilder:validation:XValidation:rule="self.start != self.end",message="spec.rotation.window has the same start and end: leave the window out to allow the whole day"
type RotationWindow struct {
	// days on which the window opens.
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=7
	Days []Weekday `json:"days"`
	// start is when the window opens, as 09:00.
	// +required
	// +kubebuilder:validation:Pattern=`^([01][0-9]|2[0-3]):[0-5][0-9]$`
	Start string `json:"start"`
	// end is when it closes, as 17:00; on the next day if it is not later than start.
	// +required
	// +kubebuilder:validation:Pattern=`^([01][0-9]|2[0-3]):[0-5][0-9]$`
	End string `json:"end"`
	// timeZone is a name of the IANA time zone database, as Europe/Berlin.
	// Default: UTC.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9_+/-]*$`
	TimeZone string `json:"timeZone,omitempty"`
}

// Overlap is the time in which a key and its successor both work. The key that was
// replaced is revoked when its successor has been seen in use and it has been quiet
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
	// quiet is how long nobody may have used the key that was replaced before it is
	// taken to be out of use. Default: 25h, so that a daily job is noticed.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="self.matches('^(0|([0-9]{1,5}([.][0-9]{1,9})?h|[0-9]{1,7}([.][0-9]{1,9})?m|[0-9]{1,9}([.][0-9]{1,9})?(s|ms|us|µs|ns))+)$') && duration(self) >= duration('0s') && duration(self) <= duration('8784h')",message="spec.rotation.overlap.quiet is not between 0s and 8784h"
	Quiet *metav1.Duration `json:"quiet,omitempty"`
	// max is when the key that was replaced ends, whoever still uses it, since it was
	// replaced. Default: 168h.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="self.matches('^(0|([0-9]{1,5}([.][0-9]{1,9})?h|[0-9]{1,7}([.][0-9]{1,9})?m|[0-9]{1,9}([.][0-9]{1,9})?(s|ms|us|µs|ns))+)$') && duration(self) >= duration('0s') && duration(self) <= duration('8784h')",message="spec.rotation.overlap.max is not between 0s and 8784h"
	Max *metav1.Duration `json:"max,omitempty"`
}

// RestartPolicy says which workloads are restarted when the key has changed.
// +kubebuilder:validation:Enum=None;Env;Named
type RestartPolicy string

const (
	// RestartNone restarts nothing.
	RestartNone RestartPolicy = "None"
	// RestartEnv restarts the workloads of the namespace that take the Secret by env,
	// envFrom or subPath: they never see it change by themselves.
	RestartEnv RestartPolicy = "Env"
	// RestartNamed restarts the workloads that are named.
	RestartNamed RestartPolicy = "Named"
)

// Restart says which workloads are restarted when the key has changed, once for each
// change. The key that was replaced is not retired before their rollouts are finished.
// +kubebuilder:validation:XValidation:rule="(has(self.policy) && self.policy == 'Named') == has(self.workloads)",message="spec.rotation.restart.workloads goes with policy Named, and only with that"
type Restart struct {
	// policy is None, Env or Named. Default: None.
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
	// +kubebuilder:validation:XValidation:rule="self.matches(r'^[^\\p{C}\\p{Zl}\\p{Zp}]*$')",message="spec.import[].description has a line break, or a control or formatting character: write one line of plain text"
	Description string `json:"description,omitempty"`
}

// RotationStatus is what was acted on, and what comes next.
type RotationStatus struct {
	// trigger, retire and undo are the texts that were acted on.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Trigger string `json:"trigger,omitempty"`
	// retire is the text that was acted on.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Retire string `json:"retire,omitempty"`
	// undo is the text that was acted on.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Undo string `json:"undo,omitempty"`
	// nextTime is when the key is going to be replaced for its age.
	// +optional
	NextTime *metav1.Time `json:"nextTime,omitempty"`
}
