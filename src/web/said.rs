//! What the pages say, in both languages side by side, page by page. The words of the exchange itself (states, events,
//! urgencies) are in [`super::words`], those of figures in [`super::figures`].

/// A text: Vietnamese, English.
type Text = (&'static str, &'static str);

macro_rules! texts {
    ($($name:ident: $vi:literal, $en:literal;)*) => {
        $(pub(super) const $name: Text = ($vi, $en);)*
    };
}

texts! {
    // agencies
    THERE_NO_FIGURES: "Không có số liệu của kỳ này.", "There are no figures of this period.";
    AGENCIES: "Cơ quan", "Agencies";
    LEVEL: "Cấp", "Level";
    ALL_LEVELS: "Mọi cấp", "All levels";
    SENDERS_SIDE_BY:
        "Phía gửi, theo cơ quan đã đăng ký (gồm đơn vị trực thuộc)",
        "The sender's side, by registered agency (its subunits included)";
    AGENCY: "Cơ quan", "Agency";

    // agency
    OF_NODE: "Thuộc nút", "Of node";
    FIGURES_ELSEWHERE:
        "Cơ quan này không thuộc nút này: văn bản đi và đến của cơ quan nằm trong số liệu của nút đó.",
        "This agency is not of this node: what it sent and was sent stands in the figures of its own node.";
    CODES: "Mã định danh", "Codes";
    BELOW: "Trực thuộc", "Below";
    WHAT_SENT: "Văn bản đi", "What it sent";
    WHAT_SENT_BY: "Văn bản đi theo tháng và hình thức gửi", "What it sent by month and channel";
    WHOM: "Gửi đến các cơ quan", "To whom";
    WHAT_WAS_SENT: "Văn bản đến", "What it was sent";
    RECIPIENTS_WITHOUT_CODE: "(nơi nhận không có mã)", "(recipients without a code)";
    RECIPIENT: "Nơi nhận", "Recipient";
    SENT: "Số gửi", "Sent";
    FULLY_ELECTRONIC: "Hoàn toàn điện tử", "Fully electronic";
    BOTH_WAYS: "Song song", "Both ways";
    PAPER_ONLY: "Chỉ giấy", "Paper only";
    UNDELIVERED: "Không gửi được", "Undelivered";
    PENDING: "Đang chờ", "Pending";
    REGISTERS_COMPLETE: "Sổ giấy đủ", "Registers complete";
    NOTHING_WAS_SENT: "Không gửi văn bản nào trong kỳ này.", "Nothing was sent in this period.";
    MOST_FIRST: "Nhiều nhất trước", "The most first";
    AND: "và", "and";
    OTHER_RECIPIENTS: "nơi nhận khác.", "other recipients.";
    FROM_LEVEL: "từ cấp", "from level";
    FROM: "Từ", "From";
    ARRIVED: "Số đến", "Arrived";
    ANY_ELECTRONIC: "Có gửi điện tử", "Any electronic";
    SIGNED_BY_BOTH: "Đủ chữ ký số", "Signed by both";
    SCANNED: "Bản quét", "Scanned";
    ACKNOWLEDGED_SAME_DAY: "Báo nhận trong ngày", "Acknowledged the same day";
    RECIPIENTS_SIDE_BY:
        "Phía nhận, theo ngày đến; không cộng với phía gửi",
        "The recipient's side, by day of arrival; never added to the sender's";

    // audit
    THERE_NO_SUCH: "Không có sự kiện nào.", "There are no such events.";
    NONE_THIS_PART:
        "Chưa thấy ở phần này của nhật ký; còn các phần trước.",
        "None in this part of the log; there are earlier parts.";
    NEXT_PAGE: "Trang sau", "Next page";
    LOGS_CHECKPOINT: "Điểm kiểm của nhật ký", "The log's checkpoint";
    COSIGNED_BY_OTHER: "Nút khác đồng ký", "Cosigned by other nodes";
    NODES_LAST_CHECK: "Lần tự kiểm tra gần nhất", "The node's last check of itself";
    AUDIT: "Kiểm tra", "Audit";
    ANY: "mọi loại", "any";
    ANY_2: "bất kỳ", "any";
    VALID: "hợp lệ", "valid";
    INVALID: "không hợp lệ", "invalid";
    INDETERMINATE: "chưa xác định", "indeterminate";
    ABSENT: "không có", "absent";
    EVENT: "Sự kiện", "Event";
    AGENCY_CODE: "Mã cơ quan", "Agency code";
    OTHER_SIDES_CODE: "Mã bên kia", "The other side's code";
    DOCUMENT_NUMBER: "Số văn bản", "Document number";
    REASON_CODE: "Mã lý do", "Reason code";
    SIGNATURES: "Chữ ký số", "Signatures";
    CLIENT: "Hệ thống", "Client";
    USER: "Người dùng", "User";
    DELIVERY: "Mã lượt gửi", "Delivery";
    FROM_2: "Từ ngày", "From";
    UNTIL: "đến ngày", "until";
    FILTER: "Lọc", "Filter";
    INDEX: "Thứ tự", "Index";
    AT: "Lúc", "At";
    ABOUT: "Nội dung", "About";
    BY: "Bởi", "By";
    DELIVERY_2: "Lượt gửi", "Delivery";
    NEWEST_FIRST: "Mới nhất trước", "The newest first";
    SIGNED_CHECKPOINT: "Điểm kiểm đã ký", "Signed checkpoint";
    VERIFIER_KEY: "Khóa kiểm tra", "Verifier key";
    NO_OTHER_NODE: "Chưa có nút nào đồng ký.", "No other node has cosigned yet.";
    NODE: "Nút", "Node";
    EVENTS: "Đến sự kiện thứ", "Events";
    EACH_NODES_NEWEST: "Chữ ký mới nhất của từng nút", "Each node's newest signature";
    NONE_SINCE_NODE: "Chưa kiểm tra lần nào từ khi nút chạy.", "None since the node started.";
    WRONG: "SAI LỆCH", "WRONG";
    ENDED_AT: "Kết thúc lúc", "Ended at";
    EVENTS_CHECKED: "Số sự kiện đã kiểm", "Events checked";
    FINDINGS: "Phát hiện", "Findings";
    TOOK: "Thời gian", "Took";
    EXPIRED: "ĐÃ HẾT HẠN", "EXPIRED";
    KIND: "Loại", "Kind";
    DIRECTORY_VERSION: "Phiên bản danh bạ", "Directory version";
    SIZE: "Kích thước", "Size";
    LEAF_HASH: "Mã băm của lá", "Leaf hash";
    WAY_THIS_DELIVERY: "Đường đi của lượt gửi này", "The way of this delivery";
    PROOF_LOG: "Bằng chứng có trong nhật ký", "Proof that it is in the log";
    LEAFS_HASH_HASHED:
        "Băm lá, rồi băm cùng từng mã dưới đây (RFC 9162), được gốc của điểm kiểm.",
        "The leaf's hash, hashed with each of these (RFC 9162), gives the checkpoint's root.";
    HASHES_PROOF: "Các mã băm của bằng chứng", "Hashes of the proof";

    // document
    MESSAGE: "Thông điệp", "Message";
    VERDICTS_ON_SIGNATURES: "Kết quả kiểm tra chữ ký số", "Verdicts on the signatures";
    WAY_DOCUMENT: "Đường đi của văn bản", "The way of the document";
    EVIDENCE: "Bằng chứng", "Evidence";
    ONE_FILE_ASIC:
        "Một tệp (ASiC-E) gồm phong bì, nội dung, chữ ký và bằng chứng của hai nhật ký; kiểm tra được ở máy khác bằng lệnh lienthong audit verify. Việc tải về được ghi vào nhật ký.",
        "One file (ASiC-E) with envelope, content, signatures and the proofs of both logs; any machine can check it with lienthong audit verify. Taking it is recorded in the log.";
    DOWNLOAD_EVIDENCE: "Tải bằng chứng", "Download the evidence";
    STATE: "Tình trạng", "State";
    KIND_MESSAGE: "Loại thông điệp", "Kind of message";
    FROM_3: "Nơi gửi", "From";
    TO: "Nơi nhận", "To";
    RECORDED_FOR_SENDING: "Ghi nhận để gửi", "Recorded for sending";
    ANSWERED_BY_RECIPIENTS: "Nút nhận trả lời", "Answered by the recipient's node";
    NO_LONGER_FORCE: "HẾT HIỆU LỰC", "NO LONGER IN FORCE";
    FORCE: "Hiệu lực", "In force";
    WAITS_FOR: "Đang đợi", "Waits for";
    SENDERS_NODE: "Nút gửi", "Sender's node";
    RECIPIENTS_NODE: "Nút nhận", "Recipient's node";
    CHECKED_AT: "Kiểm tra tại", "Checked at";
    PERSON: "Cá nhân", "Person";
    REASON: "Lý do", "Reason";
    BY_ROLE_SIGNER: "Theo vai trò của người ký", "By the role of the signer";
    TWO_NODES_DIFFER: "Hai nút kết luận khác nhau.", "The two nodes differ.";
    VALID_SIGNATURES_COMPETENT:
        "Đủ chữ ký số hợp lệ của người có thẩm quyền và của cơ quan tại cả hai nút: có giá trị như bản giấy.",
        "Valid signatures of the competent person and of the agency at both nodes: as good as the paper original.";
    BY_2: "bởi", "by";
    EVENT_2: "sự kiện", "event";
    OUT_ORDER: "sai thứ tự", "out of order";
    STATUS: "Trạng thái", "Status";
    LAST_STATUS: "Trạng thái mới nhất của nơi nhận", "The recipient's last status";
    REFUSED_BY_RECIPIENT: "NƠI NHẬN TỪ CHỐI (trạng thái 02)", "REFUSED by its recipient (status 02)";
    MORE_EVENTS: "Các sự kiện còn lại trong nhật ký", "The other events, in the log";

    // documents
    NO_DOCUMENT_WAS: "Không tìm thấy văn bản nào.", "No document was found.";
    DOCUMENTS: "Văn bản", "Documents";
    SENT_2: "Văn bản đi", "Sent";
    RECEIVED: "Văn bản đến", "Received";
    REFUSED_ON_ARRIVAL: "Văn bản đến bị từ chối", "Refused on arrival";
    REGISTER: "Sổ đăng ký", "Register";
    NUMBER: "Số", "Number";
    NOTATION: "Ký hiệu", "Notation";
    YEAR: "Năm", "Year";
    RECORDED_FROM: "Ghi nhận từ ngày", "Recorded from";
    SEARCH: "Tìm", "Search";
    NUMBER_NOTATION: "Số, ký hiệu", "Number, notation";
    ISSUED_ON: "Ngày ban hành", "Issued on";
    TYPE: "Loại", "Type";
    URGENCY: "Độ khẩn", "Urgency";
    SIGNATURES_PERSON_AGENCY: "Ký số cá nhân / cơ quan", "Signatures: person / agency";
    RECORDED_AT: "Ghi nhận lúc", "Recorded at";
    HELD: "tạm giữ", "held";

    // exchange
    QUEUES_BY_NODE: "Hàng đợi theo nút", "Queues by node";
    EXCHANGE: "Giao nhận", "Exchange";
    NOTHING_WAS_SENT_ANY: "Chưa gửi cho nút nào.", "Nothing was sent to any node yet.";
    WAITING: "Đang đợi", "Waiting";
    FLIGHT: "Đang gửi", "In flight";
    OLDEST: "Đợi lâu nhất", "Oldest";
    WAY: "Đường truyền", "Way";
    NEXT_TRY: "Thử lại", "Next try";
    WHY: "Vì sao", "Why";
    OPEN_NOTHING_SENT: "NGẮT", "OPEN: nothing is sent";
    BEING_PROBED: "đang thử", "being probed";
    CALLS_HERE: "nút kia gọi đến", "it calls here";
    GOOD: "thông", "good";
    DOCUMENTS_STATUSES_WAIT: "Văn bản và trạng thái đang đợi gửi", "Documents and statuses that wait to be sent";
    NOTHING_WAS_REFUSED: "Chưa từ chối lời gọi nào.", "No call was refused.";
    CLIENTS: "Với hệ thống của cơ quan", "To clients";
    PEERS: "Với nút khác", "To peers";
    TIMES: "Thời gian giao nhận", "Times to deliver and to acknowledge";
    DOCUMENTS_REFUSED: "Văn bản, trạng thái bị nút này từ chối, theo lý do", "Messages that this node refused, by reason";
    CALLS_REFUSED: "Lời gọi bị từ chối từ khi nút chạy, theo lý do", "Calls refused since the node started, by reason";
    NOTHING_DELIVERED: "Chưa có văn bản nào gửi đến nơi.", "No document was delivered yet.";
    NOTHING_REFUSED: "Nút này chưa từ chối thông điệp nào.", "This node refused no message yet.";
    BY_RECIPIENTS: "Trong số này, nơi nhận từ chối bằng trạng thái 02", "Of these, refused by their recipients with status 02";
    SENT_TO_PROOF: "Từ lúc gửi đến lúc có bằng chứng của nút nhận", "From sending to the recipient node's proof";
    PROOF_TO_FIRST_STATUS: "Từ đó đến lúc nơi nhận báo trạng thái đầu tiên", "From there to the recipient's first status";
    STEP: "Chặng", "Step";
    MEDIAN: "Trung vị", "Median";
    NINE_OF_TEN: "9 trên 10 không quá", "9 of 10 at most";
    LONGEST: "Lâu nhất", "Longest";
    NEWEST_DOCUMENTS: "Tối đa 100 văn bản mới nhất đã gửi đến nơi", "At most 100 of the newest documents that were delivered";
    NEWEST_REFUSALS: "Tối đa 500 lần từ chối mới nhất trong nhật ký", "At most 500 of the newest refusals in the log";
    ONLY_FOR_AUDITORS: "Chỉ người kiểm tra của nút đọc được nhật ký.", "The log is for the node's auditors.";
    NUMBER_REFUSALS: "Số lần từ chối", "Number of refusals";

    // late
    NOTHING_WAITS_BE:
        "Không có văn bản nào đang đợi mà hạn gửi kết thúc trong 24 giờ tới.",
        "Nothing that waits to be sent ends within the next 24 hours.";
    OVER: "đã hết hạn", "over";
    DOCUMENT: "Văn bản", "Document";
    SENT_AT: "Gửi lúc", "Sent at";
    UNTIL_2: "Hạn", "Until";
    LEFT: "Còn", "Left";
    NODE_2: "Nút nhận", "To node";
    WHY_2: "Lý do", "Why";
    GIVEN_UP_WITHIN: "Hạn gửi kết thúc trong 24 giờ tới", "Given up within the next 24 hours";

    // node
    CERTIFICATES_DIRECTORY: "Chứng thư và danh bạ", "Certificates and directory";
    DISK_MEMORY: "Đĩa và bộ nhớ", "Disk and memory";
    CLOCKS_NODES: "Đồng hồ của các nút", "Clocks of the nodes";
    STOPPING: "ĐANG DỪNG", "STOPPING";
    VERSION: "Phiên bản", "Version";
    RUNNING_SINCE: "Chạy từ", "Running since";
    NODES_TIME: "Giờ của nút", "The node's time";
    EVENTS_LOG: "Sự kiện trong nhật ký", "Events in the log";
    ROOT_LOG: "Gốc của nhật ký", "Root of the log";
    HELD_DOCUMENTS: "Văn bản tạm giữ", "Held documents";
    ENDED_2: "ĐÃ HẾT HẠN", "ENDED";
    ENDS_SOON: "sắp hết hạn", "ends soon";
    UNTIL_3: "đến", "until";
    DIRECTORY_VERSION_2: "Danh bạ, phiên bản", "Directory, version";
    NODES_TLS_CERTIFICATE: "Chứng thư TLS của nút", "The node's TLS certificate";
    SHORT_NO_NEW: "THIẾU CHỖ: không nhận văn bản mới", "SHORT: no new documents are taken";
    CRITICAL_NOTHING_NEW: "CẠN CHỖ: không bắt đầu việc mới", "CRITICAL: nothing new is begun";
    FREE_SPACE: "Chỗ trống", "Free space";
    NO_NEW_DOCUMENTS: "Ngừng nhận văn bản mới khi dưới", "No new documents below";
    NOTHING_NEW_BELOW: "Ngừng mọi việc mới khi dưới", "Nothing new below";
    CONTENT_DOCUMENTS: "Nội dung văn bản", "Content of documents";
    MEMORY: "Bộ nhớ", "Memory";
    CONNECTIONS_CLIENTS: "Kết nối của hệ thống", "Connections of clients";
    CONNECTIONS_PEERS: "Kết nối của nút khác", "Connections of peers";
    POINT: ",", ".";
    OFF: "LỆCH", "OFF";
    GOOD_2: "tốt", "good";
    MOST_NODES_AGREE:
        "Phần lớn các nút cho rằng đồng hồ của chính nút này lệch:",
        "Most nodes agree that this node's own clock is off:";
    COMPARED_WITH_NO: "Chưa so với nút nào.", "Compared with no node yet.";
    DIFFERENCE_FROM_THIS: "Lệch so với nút này", "Difference from this node";
    DIFFERENCE: "Lệch", "Difference";
    COMPARED_AT: "So lúc", "Compared at";
    STATE_2: "Đánh giá", "State";

    // overview
    BY_MONTH: "Theo tháng", "By month";
    EVERY_RATIO_PERIOD: "Mọi tỷ lệ của kỳ", "Every ratio of the period";
    FURTHEST_FROM_TARGET: "Xa mục tiêu nhất", "Furthest from the target";
    NO_TARGET_SET:
        "chưa đặt mục tiêu (figures.targets trong cấu hình).",
        "no target is set (figures.targets in the configuration).";
    PAPER_REGISTERS: "Sổ văn bản giấy", "Paper registers";
    SOON_TOO_LATE: "Sắp quá hạn", "Soon too late";
    NODES_QUEUES_FOR:
        "Hàng đợi của nút chỉ người vận hành hoặc kiểm tra của nút xem được.",
        "The node's queues are for its operators and auditors.";
    OVERVIEW: "Tổng quan", "Overview";
    POINTS_AGAINST_PERIOD: "điểm % so với kỳ trước", "points against the period before";
    THESE_HELD: "trong đó tạm giữ", "of these held";
    PAPER_REGISTERS_DECLARED: "Sổ giấy đã khai đủ", "Paper registers declared complete";
    LAST_PERIODS: "các kỳ gần đây", "the last periods";
    PERIOD: "Kỳ", "Period";
    NUMBER_2: "Số lượng", "Number";
    NO_TARGET_SET_2: "Chưa đặt mục tiêu", "No target is set";
    TARGET: "Mục tiêu", "Target";
    REACHED: "đạt", "reached";
    NOT_REACHED_SHORT: "chưa đạt, còn cách", "not reached, short by";
    NOT_REACHED_OVER: "chưa đạt, vượt", "not reached, over by";
    OVER_BY_POINTS: "Vượt mục tiêu (điểm %)", "Over by (points)";
    PERIOD_NOT_OVER: "kỳ chưa kết thúc", "period not over";
    POINTS: "điểm %", "points";
    BY_MONTH_CHANNEL: "theo tháng và hình thức gửi", "by month and channel";
    NO_FIGURES: "không có số liệu.", "no figures.";
    MONTH: "Tháng", "Month";
    ALL: "Tổng", "All";
    TABLE_FIGURES: "Bảng số liệu", "Table of the figures";
    RATIO: "Tỷ lệ", "Ratio";
    NUMBER_3: "Số ", "Number of ";
    HELD_2: "Đang tạm giữ", "Held";
    PAPER_REGISTERS_COMPLETE: "Sổ giấy đã khai đủ", "Paper registers complete";
    SENDERS_SIDE_BY_DAY:
        "Phía gửi, theo ngày ban hành. n/a: không có gì để chia.",
        "The sender's side, by day of issue. n/a: nothing to divide by.";
    NO_AGENCY_MISSES: "không cơ quan nào chưa đạt mục tiêu.", "no agency misses the target.";
    SHORT_BY_POINTS: "Cách mục tiêu (điểm %)", "Short by (points)";
    AS_NUMBER: "Tương đương số ", "As a number of ";
    DELIVERIES: "Lượt gửi", "Deliveries";
    MONTHS_NOT_DECLARED: "Tháng chưa khai", "Months not declared";
    DELIVERIES_AGENCIES_WITH:
        "Lượt gửi của cơ quan đã khai đủ sổ giấy",
        "Deliveries of agencies with a complete paper register";
    WITHOUT_COMPLETE_REGISTERS:
        "Chưa khai đủ sổ giấy thì tỷ lệ hoàn toàn điện tử có thể cao hơn thực tế.",
        "Without complete registers the share of fully electronic exchange is overstated.";
    NOT_DECLARED_MOST: "Chưa khai đủ, nhiều lượt gửi nhất trước", "Not declared, most deliveries first";
    OTHER_AGENCIES: "cơ quan khác.", "other agencies.";

    // paper
    RECORDED_LOG_AS: "Đã ghi vào nhật ký, sự kiện thứ", "Recorded in the log as event";
    ENTER_DISPATCH_ON: "Ghi văn bản gửi bằng giấy", "Enter a dispatch on paper";
    CORRECT_ENTRY: "Sửa mục đã ghi", "Correct an entry";
    ENTRIES: "Các mục đã ghi", "Entries";
    DECLARE_REGISTER_COMPLETE: "Khai sổ giấy đã đủ", "Declare the register complete";
    PAPER_REGISTER: "Sổ văn bản giấy", "Paper register";
    NOT_RECORDED: "Chưa ghi được", "Not recorded";

    // register
    SHOW_REGISTER: "Xem sổ", "Show the register";
    TYPE_2: "Loại văn bản", "Type";
    RECIPIENTS_CODE: "Mã nơi nhận", "Recipient's code";
    OR_ITS_NAME: "hoặc tên nơi nhận không có mã", "or its name, where it has no code";
    DISPATCHED_ON: "Ngày gửi", "Dispatched on";
    PAPER_MANDATORY: "Bắt buộc gửi giấy", "Paper is mandatory";
    ITS_BASIS: "Căn cứ", "Its basis";
    ENTER: "Ghi vào sổ", "Enter";
    ENTER_CORRECTION: "Ghi mục sửa", "Enter the correction";
    WITHDRAW: "Rút khỏi sổ", "Withdraw it";
    STANDS: "còn hiệu lực", "stands";
    WITHDRAWAL: "lượt rút", "withdrawal";
    CORRECTED_OR_WITHDRAWN: "đã sửa hoặc rút", "corrected or withdrawn";
    MANDATORY: "bắt buộc", "mandatory";
    CORRECT: "Sửa", "Correct";
    PAPER: "Gửi giấy", "Paper";
    ENTERED_AT: "Ghi lúc", "Entered at";
    ACTION: "Thao tác", "Action";
    THERE_NO_ENTRIES: "Chưa có mục nào.", "There are no entries.";
    MONTH_YEAR_MONTH: "Tháng (năm-tháng)", "Month (year-month)";
    REGISTER_COMPLETE: "Sổ đã ghi đủ", "The register is complete";
    TAKE_BACK: "Rút lời khai", "Take it back";

    // sign_in
    THESE_PAGES_FOR:
        "Trang này dành cho người vận hành, kiểm tra và quản trị của nút. Có hai cách vào:",
        "These pages are for operators, auditors and administrators of the node. There are two ways in:";
    CHOOSE_YOUR_CLIENT:
        "Chọn chứng thư khách của mình khi trình duyệt hỏi (chứng thư phải được cài vào trình duyệt).",
        "Choose your client certificate when the browser asks (it must be installed in the browser).";
    WHERE_CERTIFICATE_RUN: "Trên máy có chứng thư, chạy lệnh", "Where the certificate is, run";
    OPEN_LINK_PRINTS:
        "rồi mở đường dẫn mà lệnh in ra: dùng được một lần, trong năm phút.",
        "and open the link that it prints: it works once, for five minutes.";
    SIGN: "Đăng nhập", "Sign in";
    SIGN_WITH_WHAT: "Đăng nhập với quyền của", "Sign in with what this client may do:";
    THIS_LINK_WAS:
        "Đường dẫn này đã được dùng hoặc đã quá năm phút. Chạy lại lệnh để có đường dẫn mới:",
        "This link was used, or is older than five minutes. Run the command again for a new one:";
    LINK_NO_LONGER: "Đường dẫn hết hiệu lực", "The link no longer works";

    // frame
    PAGES: "Trang", "Pages";
    SIGN_OUT: "Đăng xuất", "Sign out";
    SKIP_CONTENT: "Đến nội dung", "Skip to content";
    THERE_NO_SUCH_PAGE: "Không có trang này.", "There is no such page.";
    NOT_ALLOWED: "Không được phép", "Not allowed";
    NOT_FOUND: "Không tìm thấy", "Not found";
    NOT_GOOD_REQUEST: "Yêu cầu chưa đúng", "Not a good request";
    COULD_NOT_BE: "Không thực hiện được", "It could not be done";
    REASON_2: "Mã lý do", "Reason";
    FIRST_PAGE: "Về trang đầu", "To the first page";

    // figures
    ONLY_SENT_BY: "Chỉ gồm văn bản do cơ quan của nút này gửi:", "Only what agencies of this node sent:";
    ONLY_OF: "chỉ của", "only of";
    COMPUTED_FROM_LOG: "Tính từ nhật ký đến sự kiện thứ", "Computed from the log of";
    EVENTS_SIGNED_CHECKPOINT: "(điểm kiểm đã ký).", "events (signed checkpoint).";
    THEY_CHANGED_WHILE:
        "Số liệu thay đổi trong khi đọc nên có thể mới hơn điểm kiểm.",
        "They changed while they were read: they may be newer than the checkpoint.";

    // choice
    DOCUMENTS_2: "văn bản", "documents";
    DELIVERIES_2: "lượt gửi", "deliveries";
    QUARTER: "Quý", "Quarter";
    ALL_2: "Từ đầu", "All";
    PERIOD_BASIS: "Kỳ và đơn vị tính", "Period and basis";
    FROM_BEGINNING: "Từ đầu đến nay", "From the beginning";
    BY_3: "Tính theo ", "By ";

    // events
    SENT_BY_NODE: "số lượt gửi đi", "deliveries sent";
    SENT_TO_NODE: "số lượt gửi đến", "deliveries received";
    DIFFERENCES: "số chênh lệch", "differences";
    NOT_ALL_NODES: "thiếu bản kê của nút khác", "statements of nodes are missing";
    WITHDRAWN: "rút khỏi sổ", "withdrawn";
    CORRECTION: "sửa mục trước", "a correction";
    TAKEN_BACK_2: "rút lại", "taken back";
    VERSION_2: "phiên bản", "version";
    FOR: "thay mặt", "for";
    PERSONS_SIGNATURE: "ký số cá nhân", "person's signature";
    AGENCYS: "cơ quan", "agency's";
}
