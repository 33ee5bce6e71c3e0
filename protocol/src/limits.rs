//! Every limit of the system on one page; relations between them hold at compile time.

/// A document's limit: beyond it a change is refused.
pub const DOCUMENT_BYTES_MAX: usize = 1024 * 1024;
/// One automerge change, uncompressed.
pub const CHANGE_BYTES_MAX: usize = 48 * 1024;
/// Operations in one change, counted before automerge sees it.
pub const CHANGE_OPS_MAX: u64 = 5_000;
/// Dependencies named by one change.
pub const CHANGE_DEPS_MAX: u64 = 64;
/// Changes in one document.
pub const DOCUMENT_CHANGES_MAX: u64 = 5_000;
/// Acts in one document: a case has dozens, and what a fold costs grows with their square.
pub const DOCUMENT_ACTS_MAX: usize = 500;
/// One encoded act.
pub const ACT_BYTES_MAX: usize = 32 * 1024;
/// Text of one field.
pub const FIELD_BYTES_MAX: usize = 4 * 1024;
/// Name of one field.
pub const FIELD_NAME_BYTES_MAX: usize = 64;
/// A notice's text.
pub const NOTICE_BYTES_MAX: usize = 24 * 1024;
/// Entries and change bytes under one seal.
pub const BATCH_BYTES_MAX: usize = 64 * 1024;
/// A batch's entries, elided: its bytes at worst, and a hash and a name for each entry.
pub const PACK_BYTES_MAX: usize = 2 * BATCH_BYTES_MAX;
/// Entries in one batch.
pub const BATCH_ENTRIES_MAX: usize = 1_000;
/// One message, decoded.
pub const MESSAGE_BYTES_MAX: usize = 1024 * 1024;
/// Data items in one message, whatever their kind.
pub const MESSAGE_ITEMS_MAX: usize = 200_000;
/// One message on the stream, compressed: what deflate can add to an incompressible message.
pub const FRAME_BYTES_MAX: usize = MESSAGE_BYTES_MAX + MESSAGE_BYTES_MAX / 64;
/// Receipts, rejections or proofs in one message.
pub const LIST_MAX: usize = 1_000;
/// Reason of a refusal, bytes of text.
pub const REASON_BYTES_MAX: usize = 1_024;
/// Product version a node names itself with, bytes of text.
pub const PRODUCT_BYTES_MAX: usize = 64;
/// Batches one side may have sent without an acknowledgment.
pub const WINDOW_BATCHES: usize = 8;
/// Documents asked for again in one message, and read for the peer at once.
pub const WANT_DOCS_MAX: usize = 32;
/// Documents of one scope asked for again in one session; the rest waits for the next one.
pub const WANT_SCOPE_MAX: usize = 4_096;
/// Cells of a sketch without waiting for an answer: enough for some ten documents.
pub const SKETCH_CELLS_FIRST: u32 = 32;
/// Cells of one sketch. Beyond that the difference is so large that all documents are named.
pub const SKETCH_CELLS_MAX: u32 = 4_096;
/// Messages with cells of one scope: each costs a look at all of its documents.
pub const SKETCH_TURNS_MAX: u32 = 8;
/// Documents named in one message of heads.
pub const HEADS_DOCS_MAX: usize = 1_000;
/// Documents of one scope a repair may name altogether.
pub const HEADS_SCOPE_MAX: usize = 100_000;
/// Messages kept that came before their turn.
pub const EARLY_MESSAGES_MAX: usize = 64;
/// Bytes of messages kept that came before their turn.
pub const EARLY_BYTES_MAX: usize = 2 * MESSAGE_BYTES_MAX;
/// How long a session waits for the first message of the other side.
pub const HELLO_WAIT_MS: i64 = 15_000;
/// How long a session that waits for something stays silent before it is given up.
pub const IDLE_WAIT_MS: i64 = 120_000;
/// Actors besides the writer a change may name.
pub const CHANGE_ACTORS_MAX: u64 = 64;
/// Nesting of any CBOR from outside.
pub const CBOR_DEPTH_MAX: usize = 16;
/// One control document, signed.
pub const CONTROL_BYTES_MAX: usize = 900 * 1024;
/// How much a control document's version may grow at once: more is a trick to outrun the county.
pub const CONTROL_VERSION_JUMP_MAX: u64 = 1_000_000;
/// Signatures under one control document.
pub const CONTROL_SIGNATURES_MAX: usize = 16;
/// Sites of one county, from the largest real ones doubled.
pub const SITES_MAX: usize = 5_000;
/// Machines one county may ever list.
pub const NODES_MAX: usize = 5_000;
/// People of one county.
pub const PEOPLE_MAX: usize = 10_000;
/// Items of one catalogue, all versions.
pub const ITEMS_MAX: usize = 5_000;
/// How far ahead of this node's clock an act may be and still pull the hybrid clock along.
pub const CLOCK_AHEAD_MS_MAX: i64 = 24 * 3_600 * 1000;
/// Two acts closer than this, without knowledge of each other, are in doubtful order.
pub const CLOCK_DOUBT_MS: i64 = 10 * 60 * 1000;
/// Epochs of one machine whose entries in one scope are taken: five years of daily power cuts.
pub const EPOCHS_MAX: i64 = 2_000;
/// The clear header of a bundle.
pub const BUNDLE_HEADER_BYTES_MAX: usize = 256;
/// Messages in one bundle.
pub const BUNDLE_MESSAGES_MAX: u64 = 50_000;
/// Attached files in one bundle: a month of a village's scans, and little beside a stick. The rest comes
/// with the next one.
pub const BUNDLE_FILES_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Groups of files in one bundle, beside the messages that come before them: many thumbnails are few bytes.
pub const BUNDLE_PIECES_MAX: u64 = 20_000;
/// Files a bundle says are held by its sender; of more the receiver brings some in vain.
pub const BUNDLE_FILES_TOLD_MAX: usize = 50_000;
/// Bundles kept for others, altogether: a stick's worth.
pub const CARRIED_BYTES_MAX: u64 = 4 * 1024 * 1024 * 1024;
/// Bundles kept from one sender to one receiver.
pub const CARRIED_PAIR_MAX: usize = 4;
/// Bundles kept for others, altogether.
pub const CARRIED_MAX: usize = 2_000;
/// How long a bundle is kept for another: a stick that takes longer is as good as lost, and its
/// sender's next one makes up for it.
pub const CARRIED_MS_MAX: i64 = 90 * 24 * 3_600 * 1000;
/// A bundle file.
pub const BUNDLE_BYTES_MAX: u64 = 2 * 1024 * 1024 * 1024;
/// Documents one machine may begin at a node in a day: ten times what a village brings after a
/// month without a line (2 000 cases).
pub const QUOTA_DOCUMENTS: u64 = 20_000;
/// Entries of one machine a node takes in a day: ten changes for each of those documents.
pub const QUOTA_ENTRIES: u64 = 200_000;
/// Content of one machine a node takes in a day.
pub const QUOTA_BYTES: u64 = 256 * 1024 * 1024;
/// A file taken from the inbox.
pub const INBOX_FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// One attached file: a long scan of many pages.
pub const ATTACHMENT_BYTES_MAX: u64 = 32 * 1024 * 1024;
/// Files of one case: each is an act of its document.
pub const CASE_ATTACHMENTS_MAX: usize = 100;
/// The small picture of one that is shown in a list.
pub const THUMBNAIL_BYTES_MAX: u64 = 16 * 1024;
/// Characters of a file's name.
pub const FILE_NAME_CHARS_MAX: usize = 120;
/// Bytes of a file that are verified, kept and asked for together.
pub const BLOB_GROUP_BYTES: usize = 64 * 1024;
/// Groups one side may have asked for and not received.
pub const BLOB_WINDOW_GROUPS: u32 = 4;
/// Files one side may have asked for and not received: thumbnails are less than a group.
pub const BLOB_WINDOW_FILES: usize = 16;
/// Files asked for in one session that the other side does not have, as far as both remember.
pub const BLOB_LACKING_MAX: usize = 10_000;
/// Pieces that do not verify before nothing more is asked of that peer.
pub const BLOB_SPOILED_MAX: usize = 3;
/// Changes in one part of a snapshot, where they compress as cases do: about a tenth of it travels.
pub const SNAP_PART_BYTES: usize = 128 * 1024;
/// Bytes of a part on the line, as far as the part before it tells: the parts in flight stay under
/// the 64 KiB a cut may cost.
pub const SNAP_PACKED_BYTES: usize = 14 * 1024;
/// The first part: what fills a screen should be there at once.
pub const SNAP_FIRST_BYTES: usize = 32 * 1024;
/// Parts of a snapshot without an answer.
pub const SNAP_WINDOW: usize = 4;
/// Changes of one document that comes ahead of its logs; a larger one comes with them.
pub const SNAP_SHEET_BYTES_MAX: usize = 256 * 1024;
/// Changes of one part, and its bytes before they are compressed.
pub const SNAP_BYTES_MAX: usize = 512 * 1024;
/// Documents in one part of a snapshot.
pub const SNAP_DOCS_MAX: usize = 1_000;
/// What says how far a snapshot came.
pub const SNAP_REACHED_BYTES_MAX: usize = 64;
/// Entries a node must lack for documents to come ahead of them.
pub const SNAP_ENTRIES_MIN: u64 = 500;

/// Logs in one part of a vector: 120 KB on the line.
pub const VECTOR_LOGS_MAX: usize = 2_000;
/// Parts of one vector besides the first.
pub const VECTOR_PARTS_MAX: u32 = 32;
/// Bytes of changes sent before the called node has said what it holds: all that travels in vain
/// when it holds other than was thought.
pub const EAGER_BYTES_MAX: usize = 64 * 1024;

const _: () = assert!(CHANGE_BYTES_MAX < BATCH_BYTES_MAX);
const _: () = assert!(BATCH_BYTES_MAX < MESSAGE_BYTES_MAX);
const _: () = assert!(BATCH_BYTES_MAX + 64 * BATCH_ENTRIES_MAX <= PACK_BYTES_MAX);
const _: () = assert!(PACK_BYTES_MAX < MESSAGE_BYTES_MAX);
const _: () = assert!(SNAP_PART_BYTES + SNAP_SHEET_BYTES_MAX <= SNAP_BYTES_MAX);
const _: () = assert!(SNAP_BYTES_MAX < MESSAGE_BYTES_MAX);
const _: () = assert!(SNAP_PACKED_BYTES * SNAP_WINDOW < 64 * 1024);
const _: () = assert!(WINDOW_BATCHES <= EARLY_MESSAGES_MAX);
const _: () = assert!(CONTROL_BYTES_MAX < MESSAGE_BYTES_MAX);
const _: () = assert!(ACT_BYTES_MAX < CHANGE_BYTES_MAX);
const _: () = assert!(NOTICE_BYTES_MAX < ACT_BYTES_MAX);
