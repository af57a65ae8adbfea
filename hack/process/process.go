// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
)

const (
	// readyTimeout bounds the start of one program. It takes seconds; a machine that does
	// other work too, or on which much is stored, may need longer.
	readyTimeout = 2 * time.Minute
	// readyInterval is how often a program is asked whether it is ready.
	readyInterval = 20 * time.Millisecond
)

// Ready returns nil when a program does what it was started for, or else why it does not, or
// not yet.
type Ready func(context.Context) error

// Await asks until it is so. The error has the cause of the end of ctx, and the last
// answer.
func (r Ready) Await(ctx context.Context, interval time.Duration) error {
	var last error
	if wait.PollUntilContextCancel(ctx, interval, true, func(ctx context.Context) (bool, error) {
		last = r(ctx)
		return last == nil, nil
	}) != nil {
		return errors.Join(context.Cause(ctx), last)
	}
	return nil
}

// Process is a program that can be ended and started again any number of times. Its
// methods may be called from several goroutines.
type Process struct {
	// Name tells it from the others: manager, authserver-1, etcd, ….
	Name string
	// LogPath is where its standard error goes, of all its runs.
	LogPath string
	// OutputPath is where its standard output goes.
	OutputPath string

	ready Ready

	mu sync.Mutex
	// launching is for the next start.
	launching Launch
	// current is nil while it is not meant to run.
	current *run
}

// Launch is how a program is started.
type Launch struct {
	// Path of the program, or its name in $PATH.
	Path string
	// Args come after its name.
	Args []string
	// Env comes after this process' environment.
	Env []string
	// DiesOfTerm says that the program does not handle SIGTERM, so that to die of it
	// is a graceful end.
	DiesOfTerm bool
	// Scratch is a folder that is removed if this process dies before the program ends;
	// empty for none.
	Scratch string
}

// run is one life of a process.
type run struct {
	cmd *exec.Cmd
	// mayDie is Launch.DiesOfTerm.
	mayDie bool
	// done is closed when it has ended.
	done chan struct{}
}

// New returns a process that has its logs in the folder dir. ready is asked, from each
// start on, until it says yes.
func New(name, dir string, launching Launch, ready Ready) *Process {
	return &Process{
		Name:       name,
		LogPath:    filepath.Join(dir, name+".log"),
		OutputPath: filepath.Join(dir, name+".out"),
		ready:      ready,
		launching:  launching,
	}
}

// Answers is the readiness of a program that answers 200 at this URL.
func Answers(url string) Ready { return AnswersTo(http.DefaultClient, url) }

// AnswersTo is Answers to this client.
func AnswersTo(client *http.Client, url string) Ready {
	return func(ctx context.Context) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		response, err := client.Do(request)
		if err != nil {
			return err
		}
		defer func() { _ = response.Body.Close() }()
		if response.StatusCode != http.StatusOK {
			return fmt.Errorf("%s answers %s", url, response.Status)
		}
		return nil
	}
}

// Listens is the readiness of a program that takes connections at these addresses.
func Listens(addresses ...string) Ready {
	return func(ctx context.Context) error {
		for _, address := range addresses {
			conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
			if err != nil {
				return err
			}
			_ = conn.Close()
		}
		return nil
	}
}

// Start starts the program, and returns when it is ready. What is not ready in time, or
// not before ctx ends, is killed.
func (p *Process) Start(ctx context.Context) error {
	current, err := p.launch()
	if err != nil {
		return fmt.Errorf("start %s: %w", p.Name, err)
	}
	if err := p.awaitReady(ctx, current); err != nil {
		return errors.Join(fmt.Errorf("start %s: %w\n%s", p.Name, err, p.LogTail()), p.Kill())
	}
	return nil
}

func (p *Process) launch() (*run, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.current != nil {
		return nil, errors.New("it was started already")
	}
	log, err := openLog(p.LogPath)
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }()
	output, err := openLog(p.OutputPath)
	if err != nil {
		return nil, err
	}
	defer func() { _ = output.Close() }()
	r := &run{mayDie: p.launching.DiesOfTerm, done: make(chan struct{})}
	if r.cmd, err = onLifeline(p.launching); err != nil {
		return nil, err
	}
	r.cmd.Stdout, r.cmd.Stderr = output, log
	if err := r.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = r.cmd.Wait() // The state says it, too.
		// Its watcher, and what else it has left behind.
		_ = syscall.Kill(-r.cmd.Process.Pid, syscall.SIGKILL)
		close(r.done)
	}()
	p.current = r
	return r, nil
}

func openLog(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
}

// awaitReady asks until the program is ready, or has ended.
func (p *Process) awaitReady(ctx context.Context, r *run) error {
	ctx, cancel := context.WithTimeoutCause(ctx, readyTimeout, fmt.Errorf("not ready in %s", readyTimeout))
	defer cancel()
	ctx, ended := context.WithCancelCause(ctx)
	defer ended(nil)
	go func() {
		select {
		case <-r.done:
			ended(fmt.Errorf("it ended: %s", r.cmd.ProcessState))
		case <-ctx.Done():
		}
	}()
	return p.ready.Await(ctx, readyInterval)
}

// Stop ends the program gracefully, also if it is paused; when ctx ends before it
// does, it is killed, and that is an error. One that is not meant to run is none.
func (p *Process) Stop(ctx context.Context) error {
	r := p.take()
	if r == nil {
		return nil
	}
	select {
	case <-r.done:
		return fmt.Errorf("stop %s: it had ended before: %s\n%s", p.Name, r.cmd.ProcessState, p.LogTail())
	default:
	}
	_ = r.cmd.Process.Signal(syscall.SIGTERM)
	_ = r.cmd.Process.Signal(syscall.SIGCONT)
	select {
	case <-r.done:
	case <-ctx.Done():
		_ = r.cmd.Process.Kill()
		<-r.done
		return fmt.Errorf("stop %s: killed: %w", p.Name, context.Cause(ctx))
	}
	if !r.cmd.ProcessState.Success() && !r.diedOfTerm() {
		return fmt.Errorf("stop %s: %s\n%s", p.Name, r.cmd.ProcessState, p.LogTail())
	}
	return nil
}

// diedOfTerm reports whether the program ended as one may that does not handle SIGTERM.
func (r *run) diedOfTerm() bool {
	status, ok := r.cmd.ProcessState.Sys().(syscall.WaitStatus)
	return r.mayDie && ok && status.Signaled() && status.Signal() == syscall.SIGTERM
}

// Kill ends the program at once, as the failure of a node does.
func (p *Process) Kill() error {
	r := p.take()
	if r == nil {
		return nil
	}
	err := r.cmd.Process.Kill()
	<-r.done
	if err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("kill %s: %w", p.Name, err)
	}
	return nil
}

// PID is the process ID; 0 if it is not meant to run.
func (p *Process) PID() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.current == nil {
		return 0
	}
	return p.current.cmd.Process.Pid
}

// Change has the next start be another one: of another program, say, or with more
// flags.
func (p *Process) Change(change func(*Launch)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	next := p.launching
	next.Args, next.Env = slices.Clone(next.Args), slices.Clone(next.Env)
	change(&next)
	p.launching = next
}

// Ended is closed when the program, as it was started last, has ended; it is closed
// already if it is not meant to run.
func (p *Process) Ended() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.current == nil {
		ended := make(chan struct{})
		close(ended)
		return ended
	}
	return p.current.done
}

// take makes the process one that is not meant to run, and returns its life.
func (p *Process) take() *run {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := p.current
	p.current = nil
	return r
}

// Pause holds the program still, as a stopped virtual machine is, until Resume. The
// signal for it is on its way when Pause returns.
func (p *Process) Pause() error { return p.signal(syscall.SIGSTOP) }

// Resume lets a paused program go on.
func (p *Process) Resume() error { return p.signal(syscall.SIGCONT) }

func (p *Process) signal(s syscall.Signal) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.current == nil {
		return fmt.Errorf("send %s to %s: it does not run", s, p.Name)
	}
	if err := p.current.cmd.Process.Signal(s); err != nil {
		return fmt.Errorf("send %s to %s: %w", s, p.Name, err)
	}
	return nil
}

// LogTail returns the last lines of the log, for an error message.
func (p *Process) LogTail() string {
	const lines = 15
	data, err := os.ReadFile(p.LogPath)
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimSpace(string(data)), "\n")
	return fmt.Sprintf("last lines of %s's log:\n%s", p.Name, strings.Join(all[max(0, len(all)-lines):], "\n"))
}
