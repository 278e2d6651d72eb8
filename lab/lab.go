// Package lab is the middle of the product: the one place that knows who may
// do what to which machine, and in which order things happen.
//
// The faces (tui, the API, the ssh commands, the boot services) turn a request
// into one call of [Lab] and its answer into a picture, JSON or bytes. Every
// call takes an [Actor] and checks what it may do, does the work, keeps the
// event and the audit entry in the same transaction, and has it published on
// the [Bus]. Errors are of type [Error].
package lab

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"

	"provisioner/boot"
	"provisioner/lab/console/transcript"
	"provisioner/store"
)

// Config is what a [Lab] needs.
type Config struct {
	Store   *store.DB
	DataDir string // holds images/, tftp/ and consoles/, which are created where they are missing

	// PublicURL is the base of the addresses that machines are given. Its
	// host must be one that machines reach; DHCP clients are given its IPv4
	// address as their TFTP server.
	PublicURL *url.URL

	Logger *slog.Logger                 // nil: none
	Now    func() time.Time             // nil: the clock
	NewBMC func(store.BMC) (BMC, error) // nil: RMCP+ over UDP

	// PollEvery is how often a BMC is asked whether its machine is on; zero
	// for 30 s. It is asked sooner after a change, and more rarely where nobody
	// looks or the BMC fails. Each machine has a jitter of a quarter of it.
	PollEvery time.Duration

	// MaxDiscovered is how many addresses of no machine are remembered, the
	// ones seen last; zero for 1000.
	MaxDiscovered int

	Observer Observer // is told what is worth counting; nil: nobody
}

// Lab is the rules over one store. It is safe for concurrent use.
type Lab struct {
	store       *store.DB
	log         *slog.Logger
	now         func() time.Time
	newBMC      func(store.BMC) (BMC, error)
	pollEvery   time.Duration
	publicURL   *url.URL
	images      *os.Root
	imageChecks imageChecks
	tftpRoot    *os.Root
	preseeds    *boot.Renderer

	nextServer    atomic.Pointer[netip.Addr] // see tftpAddress; nil: not looked up yet
	clients       dhcpClients
	bootEvents    bootEvents
	logins        logins
	sightings     *sightings
	holds         *addressHolds
	maxDiscovered int
	observer      Observer

	consoleRoot    *os.Root
	consoleLogs    *transcript.Folder
	consolesInsist atomic.Bool // see Site
	patterns       patterns

	bus      Bus
	wakeFeed chan struct{}
	fed      atomic.Int64 // when the feed was alive last, in Unix nanoseconds; 0: it does not run

	waiters          waiters
	turningOff       map[int64]chan struct{} // by machine id: closed when its BMC has answered; guarded by mu
	turnOffMu        sync.Mutex              // one turnOffDue at a time
	sweepMu          sync.Mutex              // one sweepUploads at a time
	wakeReservations chan struct{}
	wakePowerOffs    chan struct{}
	wakeWebhooks     chan struct{}

	claim      claim
	polls      chan struct{} // places for the pollers, see maxPolls
	watchers   *errgroup.Group
	watcherCtx context.Context //nolint:containedctx // of Run; nil before it

	mu       sync.Mutex
	machines map[int64]*attachment // by machine id
	sessions map[*session]struct{}
	tunnels  map[*Tunnel]struct{}
}

// New prepares a lab; nothing runs until [Lab.Run]. It fails where the data
// folder cannot be used. Close it when Run has returned.
func New(cfg Config) (*Lab, error) {
	images, err := openFolder(cfg.DataDir, "images")
	if err != nil {
		return nil, err
	}
	tftpRoot, err := openFolder(cfg.DataDir, "tftp")
	if err != nil {
		return nil, errors.Join(err, images.Close())
	}
	consoleRoot, err := openFolder(cfg.DataDir, "consoles")
	if err != nil {
		return nil, errors.Join(err, images.Close(), tftpRoot.Close())
	}
	l := &Lab{
		store:     cfg.Store,
		log:       cfg.Logger,
		now:       cfg.Now,
		newBMC:    cfg.NewBMC,
		pollEvery: cfg.PollEvery,
		publicURL: cfg.PublicURL,
		images:    images,
		tftpRoot:  tftpRoot,
		preseeds:  boot.NewRenderer(boot.PreseedLimits{}),
		bus:       newLocalBus(),
		wakeFeed:  make(chan struct{}, 1),
		polls:     make(chan struct{}, maxPolls),
		machines:  make(map[int64]*attachment),
		sessions:  make(map[*session]struct{}),
		tunnels:   make(map[*Tunnel]struct{}),
		claim:     claim{limit: rate.NewLimiter(rate.Every(claimEvery), claimBurst)},

		waiters:          waiters{byID: make(map[int64]*waiter)},
		turningOff:       make(map[int64]chan struct{}),
		wakeReservations: make(chan struct{}, 1),
		wakePowerOffs:    make(chan struct{}, 1),
		wakeWebhooks:     make(chan struct{}, 1),

		clients:       dhcpClients{byMAC: make(map[string]dhcpClient)},
		sightings:     newSightings(),
		holds:         newAddressHolds(),
		maxDiscovered: cfg.MaxDiscovered,
		observer:      cfg.Observer,

		consoleRoot: consoleRoot,
		patterns:    patterns{found: make(chan foundPattern, foundDepth)},
	}
	if l.log == nil {
		l.log = slog.New(slog.DiscardHandler)
	}
	if l.now == nil {
		l.now = time.Now
	}
	l.consoleLogs = transcript.New(consoleRoot, transcript.Limits{}, l.now)
	if l.newBMC == nil {
		l.newBMC = dialRMCP
	}
	if l.pollEvery == 0 {
		l.pollEvery = 30 * time.Second
	}
	if l.maxDiscovered == 0 {
		l.maxDiscovered = defaultMaxDiscovered
	}
	if l.publicURL == nil {
		l.publicURL = &url.URL{Scheme: "http", Host: "localhost"}
	}
	return l, nil
}

// Run watches the machines and publishes what happens, until ctx ends. It
// then ends all BMC sessions in an orderly way, which takes up to 2 s.
func (l *Lab) Run(ctx context.Context) error {
	var last int64
	err := l.store.Read(ctx, func(tx *store.Tx) (err error) {
		last, err = tx.LastEventID(ctx)
		return err
	})
	if err == nil {
		err = l.loadPatterns(ctx)
	}
	if err != nil {
		return notStarted(ctx, err)
	}
	l.keepPlaces(ctx)
	group, groupCtx := errgroup.WithContext(ctx)
	l.mu.Lock()
	l.watchers, l.watcherCtx = group, groupCtx
	l.mu.Unlock()

	if err := l.attachMachines(ctx); err != nil {
		group.Go(func() error { return notStarted(ctx, err) }) // which ends those that were attached
	}
	group.Go(func() error {
		l.keepFound(groupCtx)
		return nil
	})
	group.Go(func() error {
		l.keepSightings(groupCtx)
		return nil
	})
	group.Go(func() error { return l.feed(groupCtx, last) })
	group.Go(func() error { return l.housekeep(groupCtx) })
	group.Go(func() error { return l.keepReservations(groupCtx) })
	group.Go(func() error { return l.turnOffReleased(groupCtx) })
	group.Go(func() error { return l.deliverWebhooks(groupCtx) })
	group.Go(func() error {
		l.consoleLogs.Sweep(groupCtx, l.log)
		return nil
	})
	err = group.Wait()
	l.detachAll()
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// notStarted says why the lab did not start; nil where it was told to end
// before it had.
func notStarted(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil //nolint:nilerr // it was told to end
	}
	return wrap(err, "start the lab")
}

// Close releases what New took. The store is the caller's.
func (l *Lab) Close() error {
	return errors.Join(l.images.Close(), l.tftpRoot.Close(), l.consoleRoot.Close())
}

// openFolder opens a folder below the data folder, and makes it where it is
// missing. What is opened through it cannot be outside of it.
func openFolder(dataDir, name string) (*os.Root, error) {
	path := filepath.Join(dataDir, name)
	if err := os.MkdirAll(path, 0o750); err != nil {
		return nil, fail(Unavailable, "prepare data folder: %w: give the user that runs provisioner write access", err)
	}
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, fail(Unavailable, "prepare data folder: %w", err)
	}
	return root, nil
}

// jittered spreads a period by a quarter, so that a thousand machines that
// were started together are not asked together.
func jittered(d time.Duration) time.Duration {
	return d - d/8 + rand.N(d/4+1) //nolint:gosec // spreads load, guards nothing
}

// missing is the sentence for a name that nothing has.
func missing(what, name string) error {
	return fail(NotFound, "there is no %s %q", what, name)
}

// notFound turns a row that is not there into a sentence that names it.
func notFound(err error, what, name string) error {
	if errors.Is(err, store.ErrNotFound) {
		return missing(what, name)
	}
	return fmt.Errorf("%s %s: %w", what, name, err)
}
